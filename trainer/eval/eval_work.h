#pragma once

#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "trainer/eval/arms/drawing_arm.h"
#include "trainer/eval/eval_task.h"

namespace longspan {

/// An arm under the name that results give it, so that one arm may take part twice with other keys.
struct NamedArm {
  std::string label;
  std::shared_ptr<Arm> arm;
  CausalLm* model = nullptr;  // where it reads with another one, which has the same tokenizer

  /// The subject as this arm meets it.
  EvalSubject subject(const EvalSubject& of_all) const {
    return {model ? *model : of_all.model, of_all.tokenizer, of_all.bos_token_id, arm};
  }
  /// What keeps it from the task, "asks no question, which the arm needs"; empty where it can do
  /// it.
  std::string obstacle(const EvalTask& task) const {
    if (task.scores_plain_text() && !arm->reads_plain_text()) {
      return "asks no question, which the arm needs";
    }
    if (!task.names_evidence() && arm->needs_evidence()) {
      return "does not say where the answer stands, which the arm needs";
    }
    if (task.scores_every_token() && arm->leaves_out()) {
      return "scores all of a text, of which the arm leaves out parts";
    }
    if (task.judges_whole_answers() && !arm->tells_whole_answers()) {
      return "judges whole answers, of which the arm tells the first tokens that are right alone";
    }
    return "";
  }
  bool does(const EvalTask& task) const { return obstacle(task).empty(); }
};

using EvalTasks = std::vector<std::unique_ptr<EvalTask>>;
using DrawnTasks = std::vector<std::unique_ptr<DrawnTask>>;

/// What all of them ask; the tasks must outlive it.
DrawnTasks draw_tasks(const EvalTasks& tasks, const EvalSubject& subject,
                      const EvalOptions& options);

/// What one arm has to do of a task at one length.
struct EvalWork {
  std::string task, arm;
  int64_t length = 0;
  std::vector<double> item_flops;  // by formula, in the order in which the items are asked

  int64_t items() const { return std::ssize(item_flops); }
  double flops() const { return std::reduce(item_flops.begin(), item_flops.end()); }
};

/// The work of all tasks by all arms, in the order in which it is done. A text that an arm has
/// scored for an earlier task (EvalRun) is no work. The items are handed to `on_item` one after the
/// other, as they will be asked.
std::vector<EvalWork> work_of(const DrawnTasks& tasks, const EvalSubject& subject,
                              const std::vector<NamedArm>& arms,
                              const std::function<void(const AskedItem&)>& on_item = {});

}  // namespace longspan
