#include <c10/util/Exception.h>

#include "src/attention/kernels/flash_operands.h"
#include "src/simd/built_kernels.h"

namespace longspan::flash {

const Kernels* kernels_for(const at::Tensor& q) {
  constexpr BuiltKernels<Kernels> kBuilt{.avx2_float = &kAvx2Float,
                                         .avx2_float_of_bf16 = &kAvx2FloatOfBf16,
                                         .avx512_float = &kAvx512Float,
                                         .avx512_float_of_bf16 = &kAvx512FloatOfBf16,
                                         .avx512_bf16 = &kAvx512Bf16};
  return q.size(3) % 16 == 0 && q.size(3) <= kMaxHeadDim ? kBuilt.of(q) : nullptr;
}

const Kernels& needed_kernels_for(const at::Tensor& q) {
  const Kernels* kernels = kernels_for(q);
  TORCH_CHECK(kernels, "flash attention: no kernel for ", q.scalar_type(), " with head_dim ",
              q.size(3), " on this processor; expected float32 or bfloat16 on a CPU with AVX2 or ",
              "more (LONGSPAN_CPU), and head_dim a multiple of 16 of at most ", kMaxHeadDim);
  return *kernels;
}

}  // namespace longspan::flash
