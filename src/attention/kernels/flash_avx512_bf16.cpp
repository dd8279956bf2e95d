#include "src/attention/kernels/bf16_products.h"
#include "src/attention/kernels/kernel_table.h"

namespace longspan::flash {

constexpr Kernels kAvx512Bf16 = kernels_of<Bf16Products>();

}  // namespace longspan::flash
