#pragma once

#include "src/core/error.h"
#include "trainer/eval/arms/reading_arm.h"

namespace longspan {

/// The model reads by an attention pattern that it was not opened with, whose keys and name are the
/// arm's: shifted_sparse is the attention that LongLoRA trains with, and gives the perplexity that
/// it prints.
class PatternArm : public ReadingArm {
 public:
  explicit PatternArm(std::shared_ptr<AttentionPattern> pattern) : pattern_(std::move(pattern)) {}

  std::string_view name() const override { return pattern_->name(); }
  void fields(FieldsIo& io) override { pattern_->fields(io); }
  void check(const EvalSubject& subject) const override {
    const ModelConfig& config = subject.model.config();
    const std::string misfit =
        pattern_->misfit(config.num_hidden_layers, config.num_attention_heads);
    if (!misfit.empty()) fail(ExitCode::kUsage, "{}: {}", name(), misfit);
  }
  void change(CausalLm& model, int64_t length) const override {
    (void)length;
    model.set_attention(pattern_);
  }
  /// Not where each question has a reading of its own (WholeLengthReading).
  bool shares_passages() const override { return pattern_->make_state(0) != nullptr; }
  bool tells_whole_answers() const override { return shares_passages(); }

 protected:
  std::shared_ptr<AttentionPattern> pattern_;
};

}  // namespace longspan
