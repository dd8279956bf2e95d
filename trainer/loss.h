#pragma once

#include <vector>

#include "data/store/batch.h"
#include "src/model/causal_lm.h"
#include "src/nn/chunked_cross_entropy.h"

namespace longspan {

/// The batch as tensors of the device; document_ids stay undefined when every row is one document.
ModelInput model_input(const Batch& batch, at::Device device = at::kCPU);

/// Sum of the cross entropies over the labelled tokens of the batch: a float32 scalar to call
/// backward() on. The mean over a step is the sum over its batches, divided once at the end.
at::Tensor loss_sum(CausalLm& model, const Batch& batch, int64_t loss_chunk_tokens);

/// The same with a weight a token, [rows x seq_len], or none for 1 each; `plain` of the result is
/// loss_sum().
WeightedSum weighted_loss_sum(CausalLm& model, const Batch& batch,
                              const std::vector<float>& token_weights, int64_t loss_chunk_tokens);

}  // namespace longspan
