#include "src/nn/kernels/nf4_bf16.h"

#include "src/attention/kernels/vector_bf16.h"

namespace longspan::bf16 {

void dequantize_nf4_blocks(const uint8_t* codes, const float* scales, const float* codebook,
                           int64_t blocks, uint16_t* out) {
  const __m512 values = _mm512_loadu_ps(codebook);
  const __m512i low_half = _mm512_set1_epi16(0x0f);
  for (int64_t block = 0; block < blocks; ++block, codes += 32, out += 64) {
    // The block's 16 values, looked up by 32 codes at once.
    const __m512i table =
        _mm512_castsi256_si512(to_bf16(_mm512_mul_ps(values, _mm512_set1_ps(scales[block]))));
    for (int64_t half = 0; half < 2; ++half) {
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(codes + 16 * half));
      // Each byte becomes two 16-bit lanes: its high half, then its low one.
      const __m512i pairs = _mm512_cvtepu8_epi32(bytes);
      const __m512i lanes =
          _mm512_or_si512(_mm512_srli_epi32(pairs, 4), _mm512_slli_epi32(pairs, 16));
      const __m512i index = _mm512_and_si512(lanes, low_half);
      _mm512_storeu_si512(out + 32 * half, _mm512_permutexvar_epi16(index, table));
    }
  }
}

}  // namespace longspan::bf16
