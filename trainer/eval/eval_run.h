#pragma once

#include <string>
#include <vector>

#include "trainer/eval/arms/arm.h"
#include "trainer/eval/eval_task.h"

namespace longspan {

/// An arm under the name that results give it, so that one arm may take part twice with other keys.
struct NamedArm {
  std::string label;
  std::shared_ptr<Arm> arm;
};

/// Has every arm do the task with the subject's model: the rows of one arm after the other, each
/// with its label under "arm". An arm that needs questions is left out, with a warning, of a task
/// that asks none. EvalTask::run says what is thrown.
TaskResult run_task(const EvalTask& task, const EvalSubject& subject,
                    const std::vector<NamedArm>& arms, const EvalOptions& options);

}  // namespace longspan
