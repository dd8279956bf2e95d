#include "src/attention/kernels/kernel_table.h"
#include "src/simd/float_products.h"
#include "src/simd/vector_avx512.h"

namespace longspan::flash {

constexpr Kernels kAvx512Float = kernels_of<FloatProducts<Avx512, float>>();
constexpr Kernels kAvx512FloatOfBf16 = kernels_of<FloatProducts<Avx512, uint16_t>>();

}  // namespace longspan::flash
