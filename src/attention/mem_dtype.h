#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace longspan {

/// In which form memory layers keep keys and values: LongLLaMA's mem_dtype, and two of ours.
enum class MemDtype { kFloat32, kFloat16, kBFloat16, kInt8, kInt4 };

/// "float32", "float16", "bfloat16", "int8", "int4".
std::vector<std::string> mem_dtype_names();
MemDtype mem_dtype_named(const std::string& name);  // one of them
std::string name_of(MemDtype dtype);

/// Keys or values [B, Hkv, T, D] in a form. int8 and int4 have a scale for each group of 32
/// dimensions of a token (of all D where 32 does not divide it): int8 from -127 to 127 times the
/// scale; int4, two in a byte, 0 to 15 times the scale above the group's least value (as KIVI;
/// Liu et al. 2024, arXiv 2402.02750).
struct Remembered {
  at::Tensor codes;    // [B, Hkv, T, D] of the dtype, or [B, Hkv, T, ceil(D / 2)] uint8
  at::Tensor scales;   // [B, Hkv, T, D / group] float16; undefined where codes are numbers
  at::Tensor offsets;  // the same, of int4
};

/// Shares no memory with x.
Remembered remember(const at::Tensor& x, MemDtype dtype);
/// x [B, Hkv, T, D] again, in another dtype; `head_dim` is D.
at::Tensor recall(const Remembered& remembered, int64_t head_dim, at::ScalarType dtype);
/// x as memory gives it back.
at::Tensor as_remembered(const at::Tensor& x, MemDtype dtype);

/// Of one key or value of `head_dim` dimensions.
double remembered_bytes(MemDtype dtype, int64_t head_dim);

}  // namespace longspan
