#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

namespace longspan {

inline constexpr int64_t kIgnoreIndex = -100;  // a label that is not scored, as in PyTorch

/// Rows of the weight whose gradient is summed at once.
inline constexpr int64_t kVocabularyBlock = 4096;

/// How many rows have logits at once: chunk_tokens on the CPU, and on a GPU, which needs more work
/// at a time, as many as take a gigabyte.
int64_t loss_chunk_rows(at::Device device, int64_t chunk_tokens, int64_t vocab_size);

/// Sum of the cross entropies of softmax(hidden weight^T) against labels, as a scalar in float32
/// (float64 in float64).
///   hidden [N, C], weight [V, C], labels [N] int64 with kIgnoreIndex for unscored rows. Labels of
///   the CPU, also for hidden states of a GPU, are checked without waiting for it.
/// Works on loss_chunk_rows() at a time and makes the gradients in the forward pass, so that
/// neither the logits [N, V] nor their gradient ever exist whole. Differentiable in hidden and,
/// when it requires gradients, in weight.
at::Tensor chunked_cross_entropy_sum(const at::Tensor& hidden, const at::Tensor& weight,
                                     const at::Tensor& labels, int64_t chunk_tokens = 512);

/// One sum of losses twice: for backward and to be reported.
struct WeightedSum {
  at::Tensor weighted;  // differentiable as chunked_cross_entropy_sum() is
  at::Tensor plain;     // all rows counted alike, without gradients
};

/// The weights [n] of the n rows from `begin` on, whose cross entropies are `losses` [n]; a weight
/// has no gradient. In any dtype, on the device of `losses`.
using RowWeights = std::function<at::Tensor(int64_t begin, const at::Tensor& losses)>;

/// Those given: weights [N].
RowWeights given_row_weights(const at::Tensor& weights);

/// The same with each row's cross entropy times its weight; without row_weights each is 1.
WeightedSum weighted_cross_entropy_sum(const at::Tensor& hidden, const at::Tensor& weight,
                                       const at::Tensor& labels, const RowWeights& row_weights,
                                       int64_t chunk_tokens = 512);

/// The cross entropy of each row, without gradients: [N] float32, 0 where unscored.
at::Tensor token_cross_entropy(const at::Tensor& hidden, const at::Tensor& weight,
                               const at::Tensor& labels, int64_t chunk_tokens = 512);

}  // namespace longspan
