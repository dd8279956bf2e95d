#pragma once

#include "src/attention/kernels/flash_attention.h"

namespace longspan {

/// flash_forward by its definition, for any dtype and device: makes the scores of a block of
/// queries, in float32 or wider. No argument is checked.
AttentionResult explicit_forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                 const VisibleKeys& visible);

/// flash_backward in the same way.
AttentionGradients explicit_backward(const at::Tensor& grad_out, const at::Tensor& grad_log_sum_exp,
                                     const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                     const VisibleKeys& visible, const AttentionResult& forward);

}  // namespace longspan
