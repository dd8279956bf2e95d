#pragma once

#include <ATen/core/Tensor.h>

namespace longspan {

/// causal_attention by LibTorch's scaled_dot_product_attention, for any dtype and device;
/// differentiable like any composition of LibTorch's functions. No argument is checked.
at::Tensor sdpa_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                          const at::Tensor& key_start, const at::Tensor& sinks = {});

}  // namespace longspan
