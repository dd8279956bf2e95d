#include "src/attention/kernels/rotary_bf16.h"

#include "src/attention/kernels/vector_bf16.h"

namespace longspan::bf16 {

void rotate_heads(const uint16_t* x, int64_t stride, const uint16_t* cos, const uint16_t* sin,
                  int64_t heads, int64_t half, int64_t rest, bool inverse, uint16_t* out) {
  const int64_t size = 2 * half + rest;
  const __m512 sign = _mm512_set1_ps(inverse ? -1.0f : 1.0f);
  for (int64_t i = 0; i < half; i += 16) {
    const __mmask16 lanes = first_lanes(half - i);
    const __m512 c = from_bf16(cos + i, lanes);
    const __m512 s = _mm512_mul_ps(from_bf16(sin + i, lanes), sign);
    for (int64_t head = 0; head < heads; ++head) {
      const uint16_t* from = x + head * stride + i;
      uint16_t* to = out + head * size + i;
      const __m512 low = from_bf16(from, lanes), high = from_bf16(from + half, lanes);
      store_bf16(to, _mm512_fnmadd_ps(high, s, _mm512_mul_ps(low, c)), lanes);
      store_bf16(to + half, _mm512_fmadd_ps(low, s, _mm512_mul_ps(high, c)), lanes);
    }
  }
  for (int64_t head = 0; head < heads; ++head) {
    __builtin_memcpy(out + head * size + 2 * half, x + head * stride + 2 * half,
                     static_cast<size_t>(rest) * sizeof(uint16_t));
  }
}

}  // namespace longspan::bf16
