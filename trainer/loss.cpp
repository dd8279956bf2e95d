#include "trainer/loss.h"

#include <ATen/ops/from_blob.h>
#include <ATen/ops/tensor.h>

#include <algorithm>

namespace longspan {

namespace {

static_assert(kNoLabel == kIgnoreIndex);

at::Tensor to_tensor(const std::vector<int64_t>& values, const Batch& batch) {
  return at::from_blob(const_cast<int64_t*>(values.data()), {batch.rows, batch.seq_len}, at::kLong)
      .clone();
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
                   .passage_rows = batch.passage_rows};
  if (!rows_are_documents(batch)) input.document_ids = to_tensor(batch.document_ids, batch);
  return input;
}

at::Tensor loss_sum(CausalLm& model, const Batch& batch, int64_t loss_chunk_tokens) {
  return weighted_loss_sum(model, batch, {}, loss_chunk_tokens).weighted;
}

WeightedSum weighted_loss_sum(CausalLm& model, const Batch& batch,
                              const std::vector<float>& token_weights, int64_t loss_chunk_tokens) {
  const at::Tensor head = model.lm_head_weight();
  at::Tensor hidden = model.hidden_states(model_input(batch, head.device()));  // [B, T, C]
  at::Tensor weights;
  if (!token_weights.empty()) weights = at::tensor(token_weights, at::kFloat);
  return weighted_cross_entropy_sum(hidden.flatten(0, 1), head,
                                    to_tensor(batch.labels, batch).flatten(), weights,
                                    loss_chunk_tokens);
}

}  // namespace longspan
