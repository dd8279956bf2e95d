#pragma once

#include <cstdint>

#include "src/attention/kernels/causal_attention_bf16.h"
#include "src/attention/kernels/vector_bf16.h"

// The matrix product of the attention kernel: C[6, 64] += A * B with vdpbf16ps, which multiplies
// pairs of bf16 and adds both products to one fp32. So the inner dimension comes in pairs, and a
// matrix is an array of dwords of two bf16. A has free strides: a matrix stored in pairs along its
// rows is the B operand of one product and the transposed A operand of another.
//
// Included by *_bf16.cpp only, for the reason that vector_bf16.h gives.

namespace longspan::bf16 {
namespace {

constexpr int64_t kTileRows = 6;  // 6 x 4 vectors of accumulators: 24 of the 32 registers

inline int64_t min_of(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t max_of(int64_t a, int64_t b) { return a > b ? a : b; }
inline int64_t round_down(int64_t n, int64_t unit) { return n / unit * unit; }
inline int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }
inline int64_t tiles_of(int64_t rows) { return (rows + kTileRows - 1) / kTileRows; }

/// A in dwords: element (m, pair) is data[m * row_stride + pair * pair_stride].
struct LeftOperand {
  const uint32_t* data;
  int64_t row_stride;
  int64_t pair_stride;

  LeftOperand at(int64_t row, int64_t pair) const {
    return {data + row * row_stride + pair * pair_stride, row_stride, pair_stride};
  }
};

/// Half-open range of keys or rows.
struct Range {
  int64_t begin;
  int64_t end;

  bool empty() const { return begin >= end; }
};

/// C[6, 16 * kVectors] = A[6, pairs] * B[pairs, 16 * kVectors], added to C when kAdd.
template <int kVectors, bool kAdd>
inline void multiply_tile(LeftOperand a, const uint32_t* b, int64_t pairs, float* c,
                          int64_t c_stride) {
  __m512 sum[kTileRows][kVectors];
#pragma GCC unroll 6
  for (int m = 0; m < kTileRows; ++m) {
#pragma GCC unroll 4
    for (int n = 0; n < kVectors; ++n) {
      sum[m][n] = kAdd ? _mm512_loadu_ps(c + m * c_stride + 16 * n) : _mm512_setzero_ps();
    }
  }
  for (int64_t pair = 0; pair < pairs; ++pair) {
    __m512i right[kVectors];
#pragma GCC unroll 4
    for (int n = 0; n < kVectors; ++n) right[n] = _mm512_loadu_si512(b + 16 * n);
#pragma GCC unroll 6
    for (int m = 0; m < kTileRows; ++m) {
      const __m512i left = _mm512_set1_epi32(static_cast<int>(a.data[m * a.row_stride]));
#pragma GCC unroll 4
      for (int n = 0; n < kVectors; ++n) {
        sum[m][n] = _mm512_dpbf16_ps(sum[m][n], reinterpret_cast<__m512bh>(left),
                                     reinterpret_cast<__m512bh>(right[n]));
      }
    }
    a.data += a.pair_stride;
    b += 16 * kVectors;
  }
#pragma GCC unroll 6
  for (int m = 0; m < kTileRows; ++m) {
#pragma GCC unroll 4
    for (int n = 0; n < kVectors; ++n) {
      _mm512_storeu_ps(c + m * c_stride + 16 * n, sum[m][n]);
    }
  }
}

/// The panel of B that starts at column `column` of `columns`: 64 wide, the last may be narrower.
inline int64_t panel_width(int64_t columns, int64_t column) {
  return min_of(kPanelColumns, columns - column);
}

/// C[6, width] += A[6, pairs] * B[pairs, width] for one panel of B, whose width is 16, 32, 48, 64.
inline void add_product(LeftOperand a, const uint32_t* b, int64_t pairs, int64_t width, float* c,
                        int64_t c_stride) {
  switch (width / 16) {
    case 1:
      return multiply_tile<1, true>(a, b, pairs, c, c_stride);
    case 2:
      return multiply_tile<2, true>(a, b, pairs, c, c_stride);
    case 3:
      return multiply_tile<3, true>(a, b, pairs, c, c_stride);
    default:
      return multiply_tile<4, true>(a, b, pairs, c, c_stride);
  }
}

}  // namespace
}  // namespace longspan::bf16
