#include "src/attention/kernels/gemm_tile_bf16.h"

namespace longspan::bf16 {
namespace {

/// Transposes 16 x 16 dwords, in four rounds of interleaving: dwords, qwords, and twice lanes.
inline void transpose(__m512i (&row)[16]) {
  __m512i half[16];
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    half[i] = _mm512_unpacklo_epi32(row[i], row[i + 1]);
    half[i + 1] = _mm512_unpackhi_epi32(row[i], row[i + 1]);
  }
  // row[4g + c]: dword 4l + c of the source rows 4g .. 4g + 3, in lane l.
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
    row[i] = _mm512_unpacklo_epi64(half[i], half[i + 2]);
    row[i + 1] = _mm512_unpackhi_epi64(half[i], half[i + 2]);
    row[i + 2] = _mm512_unpacklo_epi64(half[i + 1], half[i + 3]);
    row[i + 3] = _mm512_unpackhi_epi64(half[i + 1], half[i + 3]);
  }
  __m512i out[16];
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) {
    const __m512i low01 = _mm512_shuffle_i32x4(row[c], row[4 + c], 0x88);   // lanes 0, 2
    const __m512i high01 = _mm512_shuffle_i32x4(row[c], row[4 + c], 0xdd);  // lanes 1, 3
    const __m512i low23 = _mm512_shuffle_i32x4(row[8 + c], row[12 + c], 0x88);
    const __m512i high23 = _mm512_shuffle_i32x4(row[8 + c], row[12 + c], 0xdd);
    out[c] = _mm512_shuffle_i32x4(low01, low23, 0x88);
    out[4 + c] = _mm512_shuffle_i32x4(high01, high23, 0x88);
    out[8 + c] = _mm512_shuffle_i32x4(low01, low23, 0xdd);
    out[12 + c] = _mm512_shuffle_i32x4(high01, high23, 0xdd);
  }
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) row[i] = out[i];
}

inline __m512i load_pairs(const uint16_t* low, const uint16_t* high) {
  const __m512i a = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)low));
  const __m512i b = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)high));
  return _mm512_or_si512(a, _mm512_slli_epi32(b, 16));
}

}  // namespace

void pack_panels(Rows from, int64_t rows, int64_t head_dim, int64_t begin, int64_t end,
                 uint32_t* panels) {
  const int64_t pairs = head_dim / 2;
  for (int64_t first = begin; first < end; first += 16) {
    uint32_t* to = panels + first / kPanelColumns * pairs * kPanelColumns + first % kPanelColumns;
    for (int64_t pair = 0; pair < pairs; pair += 16) {
      const int64_t count = min_of(16, pairs - pair);
      const __mmask16 present = static_cast<__mmask16>((1u << count) - 1);
      __m512i block[16];
      for (int64_t i = 0; i < 16; ++i) {
        const bool inside = first + i < rows;
        block[i] = inside ? _mm512_maskz_loadu_epi32(
                                present, from.data + (first + i) * from.stride + 2 * pair)
                          : _mm512_setzero_si512();
      }
      transpose(block);
      for (int64_t i = 0; i < count; ++i) {
        _mm512_storeu_si512(to + (pair + i) * kPanelColumns, block[i]);
      }
    }
  }
}

void pack_pairs(Rows from, int64_t rows, int64_t head_dim, int64_t begin, int64_t end,
                uint32_t* pairs) {
  alignas(64) static const uint16_t zeros[kMaxHeadDim] = {};
  const int64_t total_pairs = padded_rows(rows) / 2;
  for (int64_t row = begin; row < end; row += 2) {
    const uint16_t* low = row < rows ? from.data + row * from.stride : zeros;
    const uint16_t* high = row + 1 < rows ? from.data + (row + 1) * from.stride : zeros;
    for (int64_t column = 0; column < head_dim; column += kPanelColumns) {
      const int64_t width = panel_width(head_dim, column);
      uint32_t* to = pairs + column * total_pairs + row / 2 * width;
      for (int64_t n = 0; n < width; n += 16) {
        _mm512_storeu_si512(to + n, load_pairs(low + column + n, high + column + n));
      }
    }
  }
}

}  // namespace longspan::bf16
