#pragma once

#include <ATen/core/Tensor.h>

namespace longspan {

/// y scale, each of the last dimension's outputs by its own factor: y [..., C], magnitude and norms
/// [C] in float32, scale = magnitude / norms. In float32 (float64 in float64), rounded once.
/// Differentiable in y and magnitude, whose gradient is summed over tokens in float32; norms are
/// constants (DoRA, arXiv 2402.09353, 4.3).
at::Tensor scaled_outputs(const at::Tensor& y, const at::Tensor& magnitude,
                          const at::Tensor& norms);

}  // namespace longspan
