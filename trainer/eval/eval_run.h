#pragma once

#include "trainer/eval/arms/recording_arm.h"
#include "trainer/eval/eval_progress.h"

namespace longspan {

/// Throws Error(kUsage) where an arm and its model do not suit, or an arm has no model.
void check_arms(const std::vector<NamedArm>& arms, const EvalSubject& subject);

/// Tasks by arms: every arm gets the same items. Answers go to the journal and come from it, costs
/// are counted, and a line on stderr says how far it is.
class EvalRun {
 public:
  /// `work` is what draw_work found. The subject and the journal must outlive it.
  EvalRun(const EvalSubject& subject, std::vector<NamedArm> arms, EvalOptions options,
          std::vector<EvalWork> work, AnswerJournal& journal);

  /// The rows of one arm after the other, each with its label under "arm". An arm that needs
  /// questions is left out, with a warning, of a task that asks none. EvalTask::run says what is
  /// thrown.
  TaskResult run(const EvalTask& task);
  /// See CostMeters::write.
  Json costs() const { return costs_.write(); }

 private:
  void show(const std::string& task, const std::string& arm, int64_t length, double seconds);

  EvalSubject subject_;
  std::vector<NamedArm> arms_;
  EvalOptions options_;
  AnswerJournal& journal_;
  CostMeters costs_;
  EvalProgress progress_;
  Stopwatch since_line_;
};

}  // namespace longspan
