#include "src/attention/kernels/float_products.h"
#include "src/attention/kernels/vector_avx2.h"
#include "src/nn/kernels/elementwise_table.h"

namespace longspan::elementwise {

constexpr Kernels kAvx2Float = kernels_of<flash::FloatProducts<flash::Avx2, float>>();
constexpr Kernels kAvx2FloatOfBf16 = kernels_of<flash::FloatProducts<flash::Avx2, uint16_t>>();

}  // namespace longspan::elementwise
