#pragma once

namespace longspan {

/// The processors that our kernels are built for; each runs the kernels of those before it.
enum class Processor {
  kNone,        // all work is LibTorch's
  kAvx2,        // AVX2 and FMA
  kAvx512,      // AVX-512 F, BW, VL and DQ
  kAvx512Bf16,  // and BF16
  kAmx,         // and AMX's products of bfloat16 tiles: attention in bfloat16 is LibTorch's
};

/// The one whose kernels run: this processor, short of AMX, with which no training step was
/// measured, or the one that LONGSPAN_CPU=amx|avx512_bf16|avx512|avx2|none names. A name that is
/// unknown, or more than this processor has, is an Error (kUsage). Read at each call.
Processor processor();

}  // namespace longspan
