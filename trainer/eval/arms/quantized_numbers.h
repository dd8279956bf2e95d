#pragma once

#include <ATen/core/Tensor.h>

namespace longspan {

/// Numbers in 8 or 4 bits, by blocks of 32 along the last dimension (of all of it where 32 does not
/// divide it) with one float16 scale each: the values of llama.cpp's q8_0 and q4_0.
struct QuantizedNumbers {
  at::Tensor codes;   // int8 [.., D], or uint8 [.., D / 2] with two numbers a byte
  at::Tensor scales;  // float16 [.., D / 32]

  int64_t bytes() const;
};

/// x [.., D] of any float dtype.
QuantizedNumbers quantize_numbers(const at::Tensor& x, int64_t bits);

/// [.., D] of `dtype`. On the CPU float32 and bfloat16 come from one pass over the codes, whose
/// last dimension must be contiguous.
at::Tensor dequantize_numbers(const QuantizedNumbers& numbers, int64_t bits, at::ScalarType dtype);

}  // namespace longspan
