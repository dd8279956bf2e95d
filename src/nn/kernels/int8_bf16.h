#pragma once

#include <cstdint>

namespace longspan::bf16 {

/// count codes of one row -> bf16(code * scale).
void dequantize_int8_row(const int8_t* codes, float scale, int64_t count, uint16_t* out);

}  // namespace longspan::bf16
