#pragma once

#include <ATen/core/Tensor.h>

#include "src/attention/kernels/interval_attention.h"

namespace longspan {

/// True when flash_forward takes operands like q: float32 or bfloat16 on a CPU with AVX2 or more,
/// head_dim a multiple of 16 of at most 256.
bool flash_attention_supports(const at::Tensor& q);

/// The arguments and the result of partial_attention, without checks and without autograd. There is
/// at least one key.
AttentionResult flash_forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                              const VisibleKeys& visible);

/// flash_forward of one query row a head (Tq = 1), which it calls: keys and values are read where
/// they lie, in shares that the threads divide.
AttentionResult flash_row_forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                  const VisibleKeys& visible);

/// grad_log_sum_exp may be undefined: zero.
AttentionGradients flash_backward(const at::Tensor& grad_out, const at::Tensor& grad_log_sum_exp,
                                  const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                  const VisibleKeys& visible, const AttentionResult& forward);

/// What flash_forward takes beside its result: packed keys and values of the heads at work. Looks
/// at the shapes of q and k alone; 0 without a kernel.
int64_t flash_forward_workspace_bytes(const at::Tensor& q, const at::Tensor& k);

/// What flash_backward takes beside its results on so many threads: packed keys and values, and dQ
/// in float32, of the heads at work. Looks at the shapes of q and k alone; 0 without a kernel.
int64_t flash_backward_workspace_bytes(const at::Tensor& q, const at::Tensor& k, int64_t threads);

}  // namespace longspan
