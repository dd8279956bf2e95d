#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "src/attention/kernels/causal_runs.h"
#include "src/attention/kernels/flash_attention.h"

namespace longspan {

// Causal attention by LibTorch's kernels for CUDA: q [B, H, Tq, D], k and v [B, Hkv, Tk, D], whose
// queries are the last keys. FlashAttention-2 everywhere; where queries and keys are as many, and
// many enough, on compute capability 9.0 and later cuDNN's, if it is faster there on heads of this
// kind. That is measured at their first use and said in the log.

/// Each query sees the last `window` keys up to its own.
AttentionResult cuda_flash_forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                   int64_t window);

/// Takes query heads in parts, so that the sums in float32 that the kernels make of their gradients
/// exist of a part alone (cuda_backward_heads).
AttentionGradients cuda_flash_backward(const at::Tensor& grad_out, const at::Tensor& q,
                                       const at::Tensor& k, const at::Tensor& v, int64_t window,
                                       const AttentionResult& forward);

/// How many of a sequence's query heads backward takes at once: all, or so many that they and their
/// tokens still fill a GPU.
int64_t cuda_backward_heads(int64_t query_heads, int64_t key_heads, int64_t tokens);

/// Runs of many lengths in one call (packed_runs.h).
AttentionResult cuda_packed_forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                    const std::vector<AlikeHeads>& heads);
AttentionGradients cuda_packed_backward(const at::Tensor& grad_out, const at::Tensor& q,
                                        const at::Tensor& k, const at::Tensor& v,
                                        const std::vector<AlikeHeads>& heads,
                                        const AttentionResult& forward);

}  // namespace longspan
