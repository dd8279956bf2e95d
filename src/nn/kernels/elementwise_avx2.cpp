#include "src/nn/kernels/elementwise_table.h"
#include "src/simd/float_products.h"
#include "src/simd/vector_avx2.h"

namespace longspan::elementwise {

constexpr Kernels kAvx2Float = kernels_of<simd::FloatProducts<simd::Avx2, float>>();
constexpr Kernels kAvx2FloatOfBf16 = kernels_of<simd::FloatProducts<simd::Avx2, uint16_t>>();

}  // namespace longspan::elementwise
