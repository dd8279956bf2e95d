#pragma once

#include <ATen/core/Reduction.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/tensor.h>

#include "data/store/batch.h"
#include "src/attention/attention.h"
#include "src/model/causal_lm.h"

namespace longspan {

/// Of the labels of a batch, from all logits, in float64.
inline at::Tensor logit_losses(CausalLm& model, const Batch& batch) {
  at::NoGradGuard no_gradients;
  model.set_attention(make_attention_pattern("full"));
  const auto tensor = [&](const std::vector<int64_t>& values) {
    return at::tensor(values, at::kLong).view({batch.rows, batch.seq_len});
  };
  const at::Tensor hidden = model.hidden_states({.input_ids = tensor(batch.input_ids),
                                                 .position_ids = tensor(batch.position_ids),
                                                 .document_ids = tensor(batch.document_ids)});
  const at::Tensor logits =
      at::matmul(hidden.to(at::kDouble), model.lm_head_weight().to(at::kDouble).t());
  return at::cross_entropy_loss(logits.flatten(0, 1), tensor(batch.labels).flatten(), {},
                                at::Reduction::None);
}

}  // namespace longspan
