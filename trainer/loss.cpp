#include "trainer/loss.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace longspan {

namespace {

static_assert(kNoLabel == kIgnoreIndex);

at::Tensor to_tensor(const std::vector<int64_t>& values, const Batch& batch) {
  return at::from_blob(const_cast<int64_t*>(values.data()), {batch.rows, batch.seq_len}, at::kLong)
      .clone();
}

/// The first place and the number of places of each document of each row.
std::vector<std::pair<int64_t, int64_t>> documents_of(const Batch& batch) {
  std::vector<std::pair<int64_t, int64_t>> documents;
  const auto& ids = batch.document_ids;
  for (int64_t i = 0; i < std::ssize(ids); ++i) {
    if (i % batch.seq_len == 0 || ids[i] != ids[i - 1]) documents.emplace_back(i, 0);
    ++documents.back().second;
  }
  return documents;
}

bool rows_are_documents(const Batch& batch) {
  const auto& ids = batch.document_ids;
  for (int64_t row = 0; row < batch.rows; ++row) {
    auto begin = ids.begin() + row * batch.seq_len;
    if (*begin != *(begin + batch.seq_len - 1)) return false;  // they never decrease in a row
  }
  return true;
}

}  // namespace

ModelInput model_input(const Batch& batch, at::Device device) {
  ModelInput input{.input_ids = to_tensor(batch.input_ids, batch).to(device),
                   .position_ids = to_tensor(batch.position_ids, batch).to(device),
                   .document_ids = {},
                   .passage_rows = batch.passage_rows,
                   .rope_length = batch.target_length};
  if (batch.document_mask && !rows_are_documents(batch)) {
    input.document_ids = to_tensor(batch.document_ids, batch);
  }
  return input;
}

at::Tensor loss_sum(CausalLm& model, const Batch& batch, int64_t loss_chunk_tokens) {
  return weighted_loss_sum(model, batch, {}, loss_chunk_tokens).weighted;
}

WeightedSum weighted_loss_sum(CausalLm& model, const Batch& batch, const RowWeights& row_weights,
                              int64_t loss_chunk_tokens) {
  const at::Tensor head = model.lm_head_weight();
  at::Tensor hidden = model.hidden_states(model_input(batch, head.device()));  // [B, T, C]
  return weighted_cross_entropy_sum(hidden.flatten(0, 1), head,
                                    to_tensor(batch.labels, batch).flatten(), row_weights,
                                    loss_chunk_tokens);
}

RowWeights token_weights_of(const LossOptions& options, CausalLm& model, const Batch& batch,
                            const std::vector<int64_t>& places_by_context,
                            int64_t loss_chunk_tokens) {
  if (options.uniform()) return {};
  if (options.long_minus_short()) {
    return long_minus_short_weights(
        short_context_losses(model, batch, options.short_context, loss_chunk_tokens),
        options.max_weight);
  }
  const auto by_context = context_weights(options, batch.seq_len, places_by_context);
  return given_row_weights(at::tensor(token_weights(batch, by_context), at::kFloat));
}

at::Tensor token_losses(CausalLm& model, const Batch& batch, int64_t loss_chunk_tokens) {
  at::NoGradGuard no_gradients;
  const at::Tensor head = model.lm_head_weight();
  const at::Tensor hidden = model.hidden_states(model_input(batch, head.device()));  // [B, T, C]
  return token_cross_entropy(hidden.flatten(0, 1), head, to_tensor(batch.labels, batch).flatten(),
                             loss_chunk_tokens)
      .cpu();
}

at::Tensor short_context_losses(CausalLm& model, const Batch& batch, const ShortContext& context,
                                int64_t loss_chunk_tokens) {
  at::NoGradGuard no_gradients;
  const at::Tensor head = model.lm_head_weight();
  const at::Tensor ids = to_tensor(batch.input_ids, batch).flatten();
  const at::Tensor labels = to_tensor(batch.labels, batch).flatten();
  at::Tensor losses = at::full({ids.size(0)}, std::nan(""), at::kFloat);
  for (const auto& [start, places] : documents_of(batch)) {
    for (const ShortWindow& window : short_windows(places, context)) {
      const int64_t predicted = window.end - window.first;
      const at::Tensor wanted = labels.narrow(0, start + window.first, predicted);
      if (wanted.eq(kNoLabel).all().item<bool>()) continue;
      const at::Tensor read = ids.narrow(0, start + window.begin, window.end - window.begin);
      const at::Tensor hidden =
          model.hidden_states({read.unsqueeze(0).to(head.device()), {}, {}}).squeeze(0);
      losses.narrow(0, start + window.first, predicted)
          .copy_(token_cross_entropy(hidden.narrow(0, window.first - window.begin, predicted), head,
                                     wanted, loss_chunk_tokens));
    }
  }
  return losses;
}

RowWeights long_minus_short_weights(const at::Tensor& short_losses, double max_weight) {
  return [short_losses, max_weight](int64_t begin, const at::Tensor& losses) {
    const at::Tensor short_context = short_losses.narrow(0, begin, losses.size(0)).to(losses);
    return (short_context - losses).exp_().clamp_max_(max_weight).nan_to_num_(1.0);
  };
}

}  // namespace longspan
