#include "src/attention/kernels/float_products.h"
#include "src/attention/kernels/rotary_kernel.h"
#include "src/attention/kernels/vector_avx2.h"

namespace longspan::rotary {

constexpr RotateTokens kAvx2Float = rotate_tokens<flash::FloatProducts<flash::Avx2, float>>;
constexpr RotateTokens kAvx2FloatOfBf16 =
    rotate_tokens<flash::FloatProducts<flash::Avx2, uint16_t>>;

}  // namespace longspan::rotary
