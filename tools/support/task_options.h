#pragma once

#include <memory>
#include <span>
#include <vector>

#include "tools/support/arguments.h"
#include "trainer/eval/eval_task.h"

namespace longspan {

using EvalTasks = std::vector<std::unique_ptr<EvalTask>>;

/// The tasks that --task names, with the keys that --set TASK.KEY=VALUE gives them. Those of
/// `options` whose group is a task are short forms: --trials 5 stands for --set passkey.trials=5.
/// Throws Error(kUsage) with all that is wrong, unknown tasks and keys with the nearest known.
EvalTasks read_tasks(const Arguments& arguments, std::span<const Option> options);

}  // namespace longspan
