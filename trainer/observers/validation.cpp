#include "trainer/observers/validation.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "src/core/error.h"
#include "trainer/loss.h"
#include "trainer/trainer.h"

namespace longspan {

namespace {

constexpr uint64_t kSeed = 0;  // not the run's: runs of different seeds are compared by it

}  // namespace

void fields(FieldsIo& io, ValidationOptions& options) {
  constexpr int64_t kMost = int64_t{1} << 40;
  io.prose(
      "Without it there is none. The loss is that of full attention, or of focused memory, which "
      "reads a row in windows, where the stage has it, with the RoPE of the current stage; "
      "documents are cut as `data` says, and not shuffled.");
  io.text("path", options.path, "a token store", {.required = true});
  io.whole("every_steps", options.every_steps, {1, kMost}, "how often; after the last step too");
  io.whole("sequences", options.sequences, {1, kMost},
           "so many rows, drawn over the documents of the store, the same in every run");
  io.whole("seq_len", options.seq_len, {0, kLongestSequence},
           "tokens of a row; 0: those of the longest stage");
  io.prose(
      "Beyond the longest context of the stages there is a warning. A stage whose context is "
      "shorter is validated beyond it.");
}

Validation::Validation(const ValidationOptions& options, std::shared_ptr<const Loader> loader)
    : options_(options),
      loader_(std::move(loader)),
      rows_(loader_->rows_over_documents(options.sequences, kSeed)) {
  if (std::any_of(rows_.begin(), rows_.end(),
                  [&](int64_t row) { return loader_->batch(row).labelled_tokens > 0; })) {
    return;
  }
  fail(ExitCode::kData,
       "{}: none of the {} rows of validation has a token that is a label, so there is no loss; "
       "raise validation.sequences, or prepare documents in which more is learned",
       options_.path, rows_.size());
}

void Validation::step_ended(Trainer& trainer, StepRecord& record) {
  if (record.step % options_.every_steps != 0 && record.step != record.total_steps) return;
  at::NoGradGuard no_gradients;
  // The trainer sets the attention of its stage before each step.
  if (!trainer.model().attention().belongs_to_model()) {
    trainer.model().set_attention(make_attention_pattern("full"));
  }
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
