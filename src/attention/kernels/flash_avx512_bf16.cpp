#include "src/attention/kernels/kernel_table.h"
#include "src/simd/bf16_products.h"

namespace longspan::flash {

constexpr Kernels kAvx512Bf16 = kernels_of<Bf16Products>();

}  // namespace longspan::flash
