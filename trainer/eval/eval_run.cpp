#include "trainer/eval/eval_run.h"

#include "src/core/log.h"

namespace longspan {

TaskResult run_task(const EvalTask& task, const EvalSubject& subject,
                    const std::vector<NamedArm>& arms, const EvalOptions& options) {
  TaskResult whole{.task = std::string(task.name())};
  for (const auto& [label, arm] : arms) {
    if (task.scores_plain_text() && !arm->reads_plain_text()) {
      log_warning(
          fmt::format("{} asks no question, which the arm {} needs: left out", task.name(), label));
      continue;
    }
    EvalSubject reader = subject;
    reader.arm = arm;
    TaskResult part = task.run(reader, options);
    whole.protocol = std::move(part.protocol);
    whole.seconds += part.seconds;
    for (const auto& row : part.rows) {
      Json named = {{"arm", label}};
      named.update(row);
      whole.rows.push_back(std::move(named));
    }
  }
  return whole;
}

}  // namespace longspan
