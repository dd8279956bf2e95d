#include "src/attention/kernels/rotary_kernels.h"

#include "src/simd/built_kernels.h"

namespace longspan::rotary {

const RotateTokens* kernel_for(const at::Tensor& x) {
  constexpr BuiltKernels<RotateTokens> kBuilt{.avx2_float = &kAvx2Float,
                                              .avx2_float_of_bf16 = &kAvx2FloatOfBf16,
                                              .avx512_float = &kAvx512Float,
                                              .avx512_float_of_bf16 = &kAvx512FloatOfBf16,
                                              .avx512_bf16 = &kAvx512Bf16};
  return kBuilt.of(x);
}

}  // namespace longspan::rotary
