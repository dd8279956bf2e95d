#pragma once

#include <cstdint>

namespace longspan::bf16 {

/// Blocks of 64 NF4 codes (32 bytes each) with their float32 scales -> bf16(codebook * scale).
void dequantize_nf4_blocks(const uint8_t* codes, const float* scales, const float* codebook,
                           int64_t blocks, uint16_t* out);

}  // namespace longspan::bf16
