#include "src/attention/kernels/bf16_products.h"
#include "src/nn/kernels/elementwise_table.h"

namespace longspan::elementwise {

constexpr Kernels kAvx512Bf16 = kernels_of<flash::Bf16Products>();

}  // namespace longspan::elementwise
