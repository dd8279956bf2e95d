#include "src/attention/kernels/bf16_products.h"
#include "src/attention/kernels/rotary_kernel.h"

namespace longspan::rotary {

constexpr RotateTokens kAvx512Bf16 = rotate_tokens<flash::Bf16Products>;

}  // namespace longspan::rotary
