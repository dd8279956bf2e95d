#pragma once

#include <ATen/core/Tensor.h>

namespace longspan {

/// x^T y, [columns of x, columns of y]: the sum over N rows in the dtype of both, or, where
/// GradientSums is at work, in float32. x and y [N, .].
at::Tensor sum_of_products(const at::Tensor& x, const at::Tensor& y);

}  // namespace longspan
