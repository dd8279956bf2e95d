#pragma once

#include "src/attention/kernels/interval_attention.h"

namespace longspan {

/// interval_attention by LibTorch's scaled_dot_product_attention, for any dtype and device, where
/// intervals end at their query; differentiable like any composition of LibTorch's functions. It is
/// not flash for queries under an explicit mask, and gets keys and values repeated for heads that
/// differ in what they see, unless whole sets that share a key/value head see the same. No argument
/// is checked.
at::Tensor sdpa_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                          const VisibleKeys& visible);

}  // namespace longspan
