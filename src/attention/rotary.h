#pragma once

#include <ATen/core/Tensor.h>

#include "src/rope/rope_scaling.h"

namespace longspan {

/// The cos and sin of one forward pass, for all layers. Rotation is Hugging Face's half split:
/// dimension i turns with dimension i + R/2, where R <= D dimensions turn and the rest stay.
class Rotary {
 public:
  /// Turns nothing: a layer without positions.
  Rotary() = default;
  /// position_ids [B, T] int64; `dtype` is that of the heads to rotate, which on the CPU may
  /// differ.
  Rotary(const RopeFrequencies& frequencies, const at::Tensor& position_ids, at::ScalarType dtype);

  /// x [B, H, T, D] -> the same shape, rotated.
  at::Tensor rotate(const at::Tensor& x) const;

 private:
  at::Tensor cos_, sin_;  // [B, 1, T, R / 2], or undefined
};

}  // namespace longspan
