#pragma once

#include "trainer/eval/tasks/loss_task.h"

namespace longspan {

/// The fixed-target context sweep: the same last tokens before the largest length L_max are scored
/// with every length, so that lengths differ in the context alone, not in which tokens count.
///
/// A length L is the number of tokens the model reads: a BOS where the tokenizer adds one, then the
/// L (or L - 1) tokens of the document that end at its token L_max (L_max - 1). The last `targets`
/// of them are scored, the first of these with L - targets tokens before it. Logits are of the
/// model's dtype, as in transformers, their softmax of float32.
class Perplexity : public LossTask {
 public:
  std::string_view name() const override { return "perplexity"; }
  std::string_view title() const override { return "Loss by context length"; }
  void fields(FieldsIo& io) override;
  void check(const EvalOptions& options) const override;
  /// And where the loss stops falling.
  std::vector<Table> tables(const std::vector<LabelledRows>& models,
                            size_t reference) const override;
  EffectiveLengths effective_lengths(const std::vector<LabelledRows>& models) const override;

 protected:
  TaskResult score(const EvalSubject& subject, Material& material) const override;
  LossWords words(const LossRow& row) const override;

 private:
  int64_t targets_ = 512;
};

/// The `length` tokens to read of `document`: a BOS if there is one, then the document's last ids.
std::vector<int64_t> context_window(const EvaluatedText& document, int64_t length,
                                    std::optional<int64_t> bos_token_id);

}  // namespace longspan
