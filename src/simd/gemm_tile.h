#pragma once

#include <cstdint>

#include "src/simd/logarithms.h"

// The matrix product of the attention kernel: C[6, w] += A * B in float32, whose inner dimension
// comes in dwords of K::kPair elements. A has free strides: a matrix stored in pairs along its rows
// is the B operand of one product and the transposed A operand of another.
//
// K is FloatProducts or Bf16Products. In an unnamed namespace for the reason that vector_avx512.h
// gives.

namespace longspan::simd {
namespace {

constexpr int64_t kTileRows = 6;

/// The columns of a tile, and of a panel of B.
template <class K>
constexpr int64_t kPanelColumns = K::kTileVectors* K::kLanes;

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

/// sum[6, lanes * kVectors] += A[6, pairs] * B[pairs, lanes * kVectors]; B is the first vectors of
/// a panel of kPanelVectors.
template <class K, int kVectors, int kPanelVectors = kVectors>
[[gnu::always_inline]] inline void add_products(LeftOperand a, const uint32_t* b, int64_t pairs,
                                                typename K::Vector (&sum)[kTileRows][kVectors]) {
  for (int64_t pair = 0; pair < pairs; ++pair) {
    typename K::Vector right[kVectors];
#pragma GCC unroll 4
    for (int n = 0; n < kVectors; ++n) {
      right[n] = K::load(reinterpret_cast<const float*>(b + K::kLanes * n));
    }
#pragma GCC unroll 6
    for (int m = 0; m < kTileRows; ++m) {
      const typename K::Vector left = K::broadcast(a.data + m * a.row_stride);
#pragma GCC unroll 4
      for (int n = 0; n < kVectors; ++n) sum[m][n] = K::add_product(sum[m][n], left, right[n]);
    }
    a.data += a.pair_stride;
    b += K::kLanes * kPanelVectors;
  }
}

/// C[6, lanes * kVectors] = A * B, added to C when kAdd. float32 adds C last, as many short sums
/// round less than one long sum; bf16 begins with C: the backward is 2 to 5 % faster. Inlined
/// without kAdd: a call for each short sum over head_dim costs it 4 %.
template <class K, int kVectors, bool kAdd, int kPanelVectors = kVectors>
[[gnu::always_inline]] inline void multiply_tile(LeftOperand a, const uint32_t* b, int64_t pairs,
                                                 float* c, int64_t c_stride) {
  constexpr int64_t lanes = K::kLanes;
  constexpr bool kBeginsWithC = kAdd && K::kPair > 1, kEndsWithC = kAdd && !kBeginsWithC;
  typename K::Vector sum[kTileRows][kVectors];
#pragma GCC unroll 6
  for (int m = 0; m < kTileRows; ++m) {
#pragma GCC unroll 4
    for (int n = 0; n < kVectors; ++n) {
      sum[m][n] = kBeginsWithC ? K::load(c + m * c_stride + lanes * n) : K::zero();
    }
  }
  add_products<K, kVectors, kPanelVectors>(a, b, pairs, sum);
#pragma GCC unroll 6
  for (int m = 0; m < kTileRows; ++m) {
#pragma GCC unroll 4
    for (int n = 0; n < kVectors; ++n) {
      float* to = c + m * c_stride + lanes * n;
      K::store(to, kEndsWithC ? K::add(K::load(to), sum[m][n]) : sum[m][n]);
    }
  }
}

/// C[6, columns] = A[6, pairs] * B[pairs, columns] for the first columns of a whole panel, or some
/// more: of a panel that the diagonal crosses the rest is not scored.
template <class K>
[[gnu::always_inline]] inline void multiply_panel(LeftOperand a, const uint32_t* b, int64_t pairs,
                                                  int64_t columns, float* c, int64_t c_stride) {
  if constexpr (K::kTileVectors == 4) {
    if (columns <= K::kLanes) return multiply_tile<K, 1, false, 4>(a, b, pairs, c, c_stride);
    if (columns <= 2 * K::kLanes) return multiply_tile<K, 2, false, 4>(a, b, pairs, c, c_stride);
    if (columns <= 3 * K::kLanes) return multiply_tile<K, 3, false, 4>(a, b, pairs, c, c_stride);
  }
  multiply_tile<K, K::kTileVectors, false>(a, b, pairs, c, c_stride);
}

/// The sum with kAdd, once for all its callers.
template <class K, int kVectors>
[[gnu::noinline]] void add_tile(LeftOperand a, const uint32_t* b, int64_t pairs, float* c,
                                int64_t c_stride) {
  multiply_tile<K, kVectors, true>(a, b, pairs, c, c_stride);
}

/// The width of the panel of B that starts at `column` of `columns`; the last may be narrower.
template <class K>
inline int64_t panel_width(int64_t columns, int64_t column) {
  return min_of(kPanelColumns<K>, columns - column);
}

/// C[6, width] += A[6, pairs] * B[pairs, width] for one panel of B.
template <class K>
inline void add_product(LeftOperand a, const uint32_t* b, int64_t pairs, int64_t width, float* c,
                        int64_t c_stride) {
  const int64_t vectors = width / K::kLanes;
  if constexpr (K::kTileVectors == 4) {
    if (vectors == 1) return add_tile<K, 1>(a, b, pairs, c, c_stride);
    if (vectors == 2) return add_tile<K, 2>(a, b, pairs, c, c_stride);
    if (vectors == 3) return add_tile<K, 3>(a, b, pairs, c, c_stride);
  }
  add_tile<K, K::kTileVectors>(a, b, pairs, c, c_stride);
}

}  // namespace
}  // namespace longspan::simd
