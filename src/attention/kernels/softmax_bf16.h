#pragma once

#include "src/attention/kernels/gemm_tile_bf16.h"

// Vector pieces of the softmax which the forward and the backward share; like gemm_tile_bf16.h,
// for *_bf16.cpp only.

namespace longspan::bf16 {
namespace {

constexpr float kLog2E = 1.44269504088896f;
constexpr float kLn2 = 0.693147180559945f;

/// 2^x for x <= 0 (and moderate x > 0): x = n + f with |f| <= 1/2, a polynomial of degree 4 through
/// the Chebyshev nodes for 2^f (relative error 3.5e-6, far below bf16), and a scaling by 2^n.
inline __m512 exp2_of(__m512 x) {
  const __m512 n = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 f = _mm512_sub_ps(x, n);
  __m512 p = _mm512_set1_ps(9.666368515e-03f);
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(5.592197584e-02f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(2.402234904e-01f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(6.931210452e-01f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.0f));
  return _mm512_scalef_ps(p, n);
}

/// The lanes l of a vector at `column` with begin <= column + l < end.
inline __mmask16 lanes_inside(int64_t column, Range range) {
  const int64_t first = min_of(16, max_of(0, range.begin - column));
  const int64_t last = min_of(16, max_of(0, range.end - column));
  return first >= last ? 0 : static_cast<__mmask16>((1u << last) - (1u << first));
}

/// 32 bf16: the 16 of `low`, then the 16 of `high`.
inline __m512i to_bf16(__m512 low, __m512 high) {
  return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
}

inline __m256i to_bf16(__m512 values) {
  return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(values));
}

inline __m512 from_bf16(const uint16_t* values) {
  const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(values));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}

/// Copies rows to contiguous memory [tiles * 6, head_dim]; the rows past `rows` become zero.
inline void copy_rows(Rows from, int64_t first, int64_t rows, int64_t head_dim, uint16_t* to) {
  for (int64_t row = 0; row < tiles_of(rows) * kTileRows; ++row) {
    const uint16_t* source = from.data + (first + row) * from.stride;
    for (int64_t d = 0; d < head_dim; d += 16) {
      const __m256i bits = row < rows
                               ? _mm256_loadu_si256(reinterpret_cast<const __m256i*>(source + d))
                               : _mm256_setzero_si256();
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + row * head_dim + d), bits);
    }
  }
}

inline void set_zero(float* data, int64_t count) {
  for (int64_t i = 0; i < count; i += 16) _mm512_storeu_ps(data + i, _mm512_setzero_ps());
}

}  // namespace
}  // namespace longspan::bf16
