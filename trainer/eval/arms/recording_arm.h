#pragma once

#include <functional>
#include <map>
#include <utility>

#include "trainer/eval/answer_journal.h"
#include "trainer/eval/arms/arm.h"
#include "trainer/eval/cost_meter.h"

namespace longspan {

/// The losses of the last tokens of each text that a run has scored, by the label of the arm and
/// the text's ids_digest().
using ScoredTexts = std::map<std::pair<std::string, std::string>, std::vector<double>>;

/// Where a RecordingArm writes.
struct ArmRecord {
  AnswerJournal& journal;
  CostMeters& costs;
  ScoredTexts& scored_texts;
  /// Called after each item with the length and the seconds it took, now or when the journal got
  /// it.
  std::function<void(int64_t length, double seconds)> on_item;
  /// Given, it gets each answer as the journal has it, {"task", "arm", "length", "question",
  /// "answers", "metric", "score", "text", "nll", ...}, or the losses of a text {"task", "arm",
  /// "length", "nll": [...]}.
  std::function<void(const Json& answer)> on_answer = {};
};

/// Another arm, whose answers come from the journal where it has them, and go there where it has
/// not; what they took is counted. A text of which another task has scored as many tokens is not
/// read again: it costs nothing.
class RecordingArm : public Arm {
 public:
  /// `label`: of the arm, `task`: whose items it reads.
  RecordingArm(std::shared_ptr<Arm> arm, std::string label, std::string task, ArmRecord record);

  std::string_view name() const override { return arm_->name(); }
  bool reads_plain_text() const override { return arm_->reads_plain_text(); }
  bool leaves_out() const override { return arm_->leaves_out(); }
  std::vector<double> target_nll(const EvalSubject& subject, const std::vector<int64_t>& ids,
                                 int64_t targets) override;
  std::unique_ptr<Reading> read_passage(const EvalSubject& subject, const Passage& passage,
                                        int64_t length) override;
  int64_t tokens_to_read(const CausalLm& model, int64_t length) const override {
    return arm_->tokens_to_read(model, length);
  }
  double flops(CausalLm& model, int64_t length, int64_t tokens_read) const override {
    return arm_->flops(model, length, tokens_read);
  }
  int64_t kv_bytes(CausalLm& model, int64_t tokens_read) const override {
    return arm_->kv_bytes(model, tokens_read);
  }

 private:
  class RecordingReading;

  /// Counts a pass over an item of `length`, of which so many tokens were read.
  void count_pass(CausalLm& model, int64_t length, int64_t tokens_read, double seconds);
  /// What the journal has, or else what `measure` finds, with "seconds" and "peak_bytes" added.
  Json found_or(const std::string& question, int64_t length, const std::function<Json()>& measure);
  /// What the journal calls it: a digest, since a passage of 100,000 tokens is a long key.
  std::string question_of(const EvalSubject& subject, const Json& item) const;
  void hand_over(int64_t length, const Json& asked, const Json& found) const;

  std::shared_ptr<Arm> arm_;
  std::string label_, task_;
  ArmRecord record_;
};

}  // namespace longspan
