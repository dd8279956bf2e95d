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
  /// x as it would be at position 0, where nothing turns: times what the scaling multiplies by.
  at::Tensor rotate_as_if_first(const at::Tensor& x) const;
  /// The same frequencies at other positions [B, T'] int64: for keys that do not sit where their
  /// tokens do. Makes new tables.
  Rotary at(const at::Tensor& position_ids) const;

 private:
  Rotary(at::Tensor inv_freq, double attention_factor, const at::Tensor& position_ids,
         at::ScalarType dtype);

  at::Tensor inv_freq_;   // [R / 2] float32; undefined where nothing turns, as are the two below
  at::Tensor cos_, sin_;  // [B, 1, T, R / 2]
  double attention_factor_ = 1;
};

}  // namespace longspan
