#pragma once

#include <vector>

#include "data/store/batch.h"
#include "src/model/causal_lm.h"
#include "src/nn/chunked_cross_entropy.h"
#include "trainer/loss_weights.h"

namespace longspan {

/// The batch as tensors of the device; document_ids stay undefined when every row is one document,
/// and without a document mask.
ModelInput model_input(const Batch& batch, at::Device device = at::kCPU);

/// Sum of the cross entropies over the labelled tokens of the batch: a float32 scalar to call
/// backward() on. The mean over a step is the sum over its batches, divided once at the end.
at::Tensor loss_sum(CausalLm& model, const Batch& batch, int64_t loss_chunk_tokens);

/// The same with a weight a token, in the order of the rows; `plain` of the result is loss_sum().
WeightedSum weighted_loss_sum(CausalLm& model, const Batch& batch, const RowWeights& row_weights,
                              int64_t loss_chunk_tokens);

/// What a recipe's `loss` makes tokens of the batch weigh; none where all weigh 1.
/// `places_by_context` is that of the batch's loader.
RowWeights token_weights_of(const LossOptions& options, CausalLm& model, const Batch& batch,
                            const std::vector<int64_t>& places_by_context,
                            int64_t loss_chunk_tokens);

/// The cross entropy of each label, [rows x seq_len] float32 on the CPU, without gradients, with
/// the attention that the model has; 0 where there is no label.
at::Tensor token_losses(CausalLm& model, const Batch& batch, int64_t loss_chunk_tokens);
/// The same with a short context, each window by itself; NaN where the whole context is no longer
/// than a window's (short_windows), or no label is in the window.
at::Tensor short_context_losses(CausalLm& model, const Batch& batch, const ShortContext& context,
                                int64_t loss_chunk_tokens);

/// LongCE's weights, min(exp(short loss - loss), max_weight), and 1 where short_losses is NaN.
RowWeights long_minus_short_weights(const at::Tensor& short_losses, double max_weight);

}  // namespace longspan
