#include "src/attention/kernels/rotary_kernel.h"
#include "src/simd/bf16_products.h"

namespace longspan::rotary {

constexpr RotateTokens kAvx512Bf16 = rotate_tokens<simd::Bf16Products>;

}  // namespace longspan::rotary
