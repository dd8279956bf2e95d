#include "src/nn/kernels/elementwise_table.h"
#include "src/simd/float_products.h"
#include "src/simd/vector_avx512.h"

namespace longspan::elementwise {

constexpr Kernels kAvx512Float = kernels_of<simd::FloatProducts<simd::Avx512, float>>();
constexpr Kernels kAvx512FloatOfBf16 = kernels_of<simd::FloatProducts<simd::Avx512, uint16_t>>();

}  // namespace longspan::elementwise
