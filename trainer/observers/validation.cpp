#include "trainer/observers/validation.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "trainer/loss.h"
#include "trainer/trainer.h"

namespace longspan {

void Validation::step_ended(Trainer& trainer, StepRecord& record) {
  if (record.step % options_.every_steps != 0 && record.step != record.total_steps) return;
  at::NoGradGuard no_gradients;
  // The trainer sets the attention of its stage before each step.
  trainer.model().set_attention(make_attention_pattern("full"));
  double loss = 0;
  int64_t labelled_tokens = 0;
  const int64_t rows = std::min(options_.sequences, loader_->sequences());
  for (int64_t i = 0; i < rows; ++i) {
    Batch batch = loader_->batch(i);
    loss += loss_sum(trainer.model(), batch, trainer.options().loss_chunk_tokens).item<double>();
    labelled_tokens += batch.labelled_tokens;
  }
  loader_->require_labels(labelled_tokens, 0, rows);
  record.validation_loss = loss / static_cast<double>(labelled_tokens);
}

}  // namespace longspan
