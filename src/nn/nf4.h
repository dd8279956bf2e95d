#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>

namespace longspan {

/// A weight in QLoRA's 4-bit NormalFloat with double quantisation (Dettmers et al. 2023), bit for
/// bit as bitsandbytes 0.50 stores it with quant_type "nf4" and compress_statistics: blocks of 64
/// in row-major order, each with the largest magnitude as its scale; the scales less their mean are
/// 8-bit codes in blocks of 256. 4.127 bits a weight. The 8-bit codes are the nearest, as
/// bitsandbytes defines them; its kernel for CPUs looks them up in steps of 2^-15 and misses some.
struct Nf4Weight {
  static constexpr int64_t kBlock = 64;
  static constexpr int64_t kScaleBlock = 256;

  at::Tensor codes;         // [numel / 2] uint8; the even element is the high half
  at::Tensor scale_codes;   // [numel / 64] uint8, into the dynamic map
  at::Tensor nested_scale;  // [numel / 64 / 256 rounded up] float32
  float offset = 0;         // mean of the scales
  int64_t rows = 0, columns = 0;
  at::ScalarType dtype = at::kBFloat16;  // what it was and becomes again
};

/// The 16 values of NF4 and the 256 of the dynamic maps with and without a sign, ascending.
const std::array<float, 16>& nf4_codebook();
const std::array<float, 256>& dynamic_map();
const std::array<float, 256>& unsigned_dynamic_map();

/// weight [rows, columns], float32 or bfloat16, finite; rows * columns is a multiple of 64, or
/// Error(kModel).
Nf4Weight quantize_nf4(const at::Tensor& weight);

/// The weight again, [rows, columns] in its dtype, on the device of its codes. `out` when given
/// must be contiguous of that shape and dtype: a scratch used again for every layer.
at::Tensor dequantize(const Nf4Weight& weight, at::Tensor out = {});

}  // namespace longspan
