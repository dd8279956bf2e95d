#include "src/attention/kernels/float_products.h"
#include "src/attention/kernels/rotary_kernel.h"
#include "src/attention/kernels/vector_avx512.h"

namespace longspan::rotary {

constexpr RotateTokens kAvx512Float = rotate_tokens<flash::FloatProducts<flash::Avx512, float>>;
constexpr RotateTokens kAvx512FloatOfBf16 =
    rotate_tokens<flash::FloatProducts<flash::Avx512, uint16_t>>;

}  // namespace longspan::rotary
