#pragma once

#include "src/attention/kernels/gemm_tile_bf16.h"

// Pieces of the softmax which the forward and the backward share; like gemm_tile_bf16.h, for
// *_bf16.cpp only.

namespace longspan::bf16 {
namespace {

/// The lanes l of a vector at `column` with begin <= column + l < end.
inline __mmask16 lanes_inside(int64_t column, Range range) {
  const int64_t first = min_of(16, max_of(0, range.begin - column));
  const int64_t last = min_of(16, max_of(0, range.end - column));
  return first >= last ? 0 : static_cast<__mmask16>((1u << last) - (1u << first));
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
