#include "trainer/observers/validation.h"

#include <ATen/core/grad_mode.h>

#include "trainer/loss.h"
#include "trainer/trainer.h"

namespace longspan {

namespace {

constexpr uint64_t kSeed = 0;  // not the run's: runs of different seeds are compared by it

}  // namespace

Validation::Validation(const ValidationOptions& options, std::shared_ptr<const Loader> loader)
    : options_(options),
      loader_(std::move(loader)),
      rows_(loader_->rows_over_documents(options.sequences, kSeed)) {}

void Validation::step_ended(Trainer& trainer, StepRecord& record) {
  if (record.step % options_.every_steps != 0 && record.step != record.total_steps) return;
  at::NoGradGuard no_gradients;
  // The trainer sets the attention of its stage before each step.
  trainer.model().set_attention(make_attention_pattern("full"));
  double loss = 0;
  int64_t labelled_tokens = 0;
  for (int64_t row : rows_) {
    Batch batch = loader_->batch(row);
    loss += loss_sum(trainer.model(), batch, trainer.options().loss_chunk_tokens).item<double>();
    labelled_tokens += batch.labelled_tokens;
  }
  record.validation_loss = loss / static_cast<double>(labelled_tokens);
}

}  // namespace longspan
