#include "src/attention/kernels/kernel_table.h"
#include "src/simd/float_products.h"
#include "src/simd/vector_avx2.h"

namespace longspan::flash {

constexpr Kernels kAvx2Float = kernels_of<FloatProducts<Avx2, float>>();
constexpr Kernels kAvx2FloatOfBf16 = kernels_of<FloatProducts<Avx2, uint16_t>>();

}  // namespace longspan::flash
