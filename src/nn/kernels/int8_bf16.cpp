#include "src/nn/kernels/int8_bf16.h"

#include "src/attention/kernels/vector_bf16.h"

namespace longspan::bf16 {

void dequantize_int8_row(const int8_t* codes, float scale, int64_t count, uint16_t* out) {
  const __m512 scales = _mm512_set1_ps(scale);
  auto values = [&](__m128i sixteen) {
    return _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(sixteen)), scales);
  };
  int64_t i = 0;
  for (; i + 32 <= count; i += 32) {
    const auto* from = reinterpret_cast<const __m128i*>(codes + i);
    _mm512_storeu_si512(out + i,
                        to_bf16(values(_mm_loadu_si128(from)), values(_mm_loadu_si128(from + 1))));
  }
  for (; i < count; i += 16) {
    const __mmask16 lanes = first_lanes(count - i);
    store_bf16(out + i, values(_mm_maskz_loadu_epi8(lanes, codes + i)), lanes);
  }
}

}  // namespace longspan::bf16
