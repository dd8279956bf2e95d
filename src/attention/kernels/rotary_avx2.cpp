#include "src/attention/kernels/rotary_kernel.h"
#include "src/simd/float_products.h"
#include "src/simd/vector_avx2.h"

namespace longspan::rotary {

constexpr RotateTokens kAvx2Float = rotate_tokens<simd::FloatProducts<simd::Avx2, float>>;
constexpr RotateTokens kAvx2FloatOfBf16 = rotate_tokens<simd::FloatProducts<simd::Avx2, uint16_t>>;

}  // namespace longspan::rotary
