#pragma once

#include <ATen/core/Tensor.h>

namespace longspan {

/// x weight^T + bias: at::linear, which for the one row of a token that is decoded on the CPU gives
/// way to a kernel of ours: LibTorch takes about as long to set up so small a product as to read
/// the weight. The kernel sums in float32 and rounds once; it serves float32 and bfloat16 without
/// gradients, in_features a multiple of 32 and contiguous weights.
///
///   x [.., in_features], weight [out_features, in_features], bias [out_features] or undefined
at::Tensor apply_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias = {});

}  // namespace longspan
