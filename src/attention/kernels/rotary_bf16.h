#pragma once

#include <cstdint>

namespace longspan::bf16 {

/// Rotates the heads of one token in the half split, dimension i with dimension i + half, through
/// the angles whose cos and sin are given [half]; `inverse` turns back. The `rest` dimensions after
/// them are copied. Heads lie `stride` elements apart in x and 2 * half + rest apart in out. bf16
/// with float32 arithmetic.
void rotate_heads(const uint16_t* x, int64_t stride, const uint16_t* cos, const uint16_t* sin,
                  int64_t heads, int64_t half, int64_t rest, bool inverse, uint16_t* out);

}  // namespace longspan::bf16
