#include "src/attention/kernels/float_products.h"
#include "src/attention/kernels/vector_avx512.h"
#include "src/nn/kernels/elementwise_table.h"

namespace longspan::elementwise {

constexpr Kernels kAvx512Float = kernels_of<flash::FloatProducts<flash::Avx512, float>>();
constexpr Kernels kAvx512FloatOfBf16 = kernels_of<flash::FloatProducts<flash::Avx512, uint16_t>>();

}  // namespace longspan::elementwise
