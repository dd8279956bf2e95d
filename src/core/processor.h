#pragma once

namespace longspan {

/// The processors that our kernels are built for; each runs the kernels of those before it.
enum class Processor {
  kNone,        // all work is LibTorch's
  kAvx2,        // AVX2 and FMA
  kAvx512,      // AVX-512 F, BW, VL and DQ
  kAvx512Bf16,  // and BF16
  kAmx,         // and AMX's products of bfloat16 tiles, which our kernels leave to LibTorch's
};

/// This processor, or a lesser one that the environment names, so that each can be tested:
/// LONGSPAN_CPU=amx|avx512_bf16|avx512|avx2|none. A name that is unknown, or more than this
/// processor has, is an Error (kUsage). Read at each call.
Processor processor();

}  // namespace longspan
