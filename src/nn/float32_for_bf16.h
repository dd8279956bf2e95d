#pragma once

#include <cstdint>

namespace longspan {

/// On a processor without AVX-512, for which LibTorch has no bfloat16 GEMM but loops (2 to 3
/// GFLOP/s where float32 reaches 100): makes LibTorch's products of bfloat16 matrices on the CPU
/// (mm, addmm and all that call them, backward passes too) multiply in float32, block by block, and
/// round once. Nothing on other processors. For the life of the process; call it any number of
/// times.
void use_float32_for_bf16_products();

/// What a product of many rows with a matrix [inner, columns] takes for its blocks in float32; 0
/// where the processor needs none.
int64_t bf16_product_scratch_bytes(int64_t inner, int64_t columns);

}  // namespace longspan
