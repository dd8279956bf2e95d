#pragma once

#include <ATen/core/Tensor.h>

#include "src/core/processor.h"

namespace longspan {

/// A set of kernels as it was built for each processor, for tensors of float32 and of bf16.
template <class Kernels>
struct BuiltKernels {
  const Kernels* avx2_float;
  const Kernels* avx2_float_of_bf16;
  const Kernels* avx512_float;
  const Kernels* avx512_float_of_bf16;
  const Kernels* avx512_bf16;  // with the instructions for bf16

  /// Those for x on this processor; null where there are none, and LibTorch does the work.
  const Kernels* of(const at::Tensor& x) const {
    const bool bf16 = x.scalar_type() == at::kBFloat16;
    if (!x.is_cpu() || (!bf16 && x.scalar_type() != at::kFloat)) return nullptr;
    switch (processor()) {
      case Processor::kNone:
        return nullptr;
      case Processor::kAvx2:
        return bf16 ? avx2_float_of_bf16 : avx2_float;
      case Processor::kAvx512:
        return bf16 ? avx512_float_of_bf16 : avx512_float;
      case Processor::kAvx512Bf16:
      case Processor::kAmx:
        return bf16 ? avx512_bf16 : avx512_float;
    }
    return nullptr;
  }
};

}  // namespace longspan
