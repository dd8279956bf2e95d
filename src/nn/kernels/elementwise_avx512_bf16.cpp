#include "src/nn/kernels/elementwise_table.h"
#include "src/simd/bf16_products.h"

namespace longspan::elementwise {

constexpr Kernels kAvx512Bf16 = kernels_of<simd::Bf16Products>();

}  // namespace longspan::elementwise
