#pragma once

namespace longspan {

/// Whether the kernels in *_bf16.cpp run on this processor (AVX-512 F, BW, VL, DQ and BF16).
inline bool has_avx512_bf16() {
  static const bool has =
      __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512bf16");
  return has;
}

}  // namespace longspan
