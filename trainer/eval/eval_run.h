#pragma once

#include "trainer/eval/arms/recording_arm.h"
#include "trainer/eval/eval_progress.h"

namespace longspan {

/// Throws Error(kUsage) where an arm and its model do not suit, or an arm has no model.
void check_arms(const std::vector<NamedArm>& arms, const EvalSubject& subject);

/// Tasks by arms: every arm gets the same items. Answers go to the journal and come from it, costs
/// are counted, and a line on stderr says how far it is. A text that one task has had scored is not
/// read again for another that scores no more of its tokens.
class EvalRun {
 public:
  /// `lengths` ascend; `work` is what work_of() found; `on_answer` is that of ArmRecord. The
  /// subject and the journal must outlive it.
  EvalRun(const EvalSubject& subject, std::vector<NamedArm> arms, std::vector<int64_t> lengths,
          std::vector<EvalWork> work, AnswerJournal& journal,
          std::function<void(const Json& answer)> on_answer = {});

  /// The rows of one arm after the other, each with its label under "arm". An arm that needs
  /// questions is left out, with a warning, of a task that asks none. DrawnTask::run says what is
  /// thrown.
  TaskResult run(DrawnTask& task);
  /// See CostMeters::write.
  Json costs() const { return costs_.write(); }
  const EvalProgress& progress() const { return progress_; }

 private:
  void show();

  EvalSubject subject_;
  std::vector<NamedArm> arms_;
  AnswerJournal& journal_;
  std::function<void(const Json& answer)> on_answer_;
  CostMeters costs_;
  ScoredTexts scored_texts_;
  EvalProgress progress_;
  Stopwatch since_line_;
};

}  // namespace longspan
