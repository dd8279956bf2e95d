#pragma once

#include <ATen/core/Tensor.h>

#include "src/attention/kernels/flash_attention.h"
#include "src/attention/kernels/interval_attention.h"

namespace longspan {

/// True when LibTorch's flash attention is the one to compute interval_attention of these operands:
/// bfloat16 on a CPU with AMX, whose products LibTorch's libraries have, or bfloat16 and float16 on
/// CUDA; head_dim a multiple of 8 of at most 256, no sinks and no ends, and every interval one of a
/// row of runs that begin at their own query, as those of full attention, packed documents and
/// shifted groups do. On CUDA also queries behind a cache, and the last keys of a sliding window,
/// where all heads see the same (causal_window).
bool sdpa_flash_supports(const at::Tensor& q, const at::Tensor& k, const VisibleKeys& visible);

/// flash_forward by LibTorch's kernel, for such intervals; on CUDA see cuda_flash.h.
AttentionResult sdpa_flash_forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                   const at::Tensor& begin);

/// flash_backward by it. CUDA sums gradients in any order: their last bits change from run to run.
/// On the CPU each query head's gradient of shared keys is rounded before they are added.
AttentionGradients sdpa_flash_backward(const at::Tensor& grad_out, const at::Tensor& q,
                                       const at::Tensor& k, const at::Tensor& v,
                                       const at::Tensor& begin, const AttentionResult& forward);

}  // namespace longspan
