#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>

namespace longspan {

/// The largest magnitude in x.
inline double largest(const at::Tensor& x) { return x.abs().max().item<double>(); }

/// The largest |a - b|, taken in float64.
inline double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  return largest(a.to(at::kDouble) - b.to(at::kDouble));
}

}  // namespace longspan
