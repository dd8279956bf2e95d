#pragma once

#include <ATen/core/Tensor.h>

namespace longspan {

/// A weight in 8-bit integers with one scale an output row, the codes bit for bit those of
/// bitsandbytes' int8_vectorwise_quant (LLM.int8, Dettmers et al. 2022, without its outliers):
/// code = round(w 127 / absmax of the row), ties to even. An element of a row with absmax a comes
/// back within (1/2 + 2^-15) a / 127, and the rounding to bfloat16 (2^-8 of it) where that is the
/// dtype.
struct Int8Weight {
  at::Tensor codes;                      // [rows, columns] int8
  at::Tensor scales;                     // [rows] float32, absmax / 127
  at::ScalarType dtype = at::kBFloat16;  // what it was and becomes again
};

/// weight [rows, columns], float32 or bfloat16, finite.
Int8Weight quantize_int8(const at::Tensor& weight);

/// codes * scale, [rows, columns] in its dtype. `out` when given must be contiguous of that shape
/// and dtype: a scratch used again for every layer.
at::Tensor dequantize(const Int8Weight& weight, at::Tensor out = {});

}  // namespace longspan
