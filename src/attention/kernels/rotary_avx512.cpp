#include "src/attention/kernels/rotary_kernel.h"
#include "src/simd/float_products.h"
#include "src/simd/vector_avx512.h"

namespace longspan::rotary {

constexpr RotateTokens kAvx512Float = rotate_tokens<simd::FloatProducts<simd::Avx512, float>>;
constexpr RotateTokens kAvx512FloatOfBf16 =
    rotate_tokens<simd::FloatProducts<simd::Avx512, uint16_t>>;

}  // namespace longspan::rotary
