#pragma once

#include "src/nn/kernels/elementwise.h"

namespace longspan::elementwise {
namespace {

using namespace simd;

/// The sums over k of x[k] * weight[row][k] for kRows rows from `row` on.
template <class K, int kRows>
inline void dot_rows(const typename K::Element* x, const typename K::Element* weight, int64_t inner,
                     typename K::Element* out) {
  constexpr int64_t kStep = K::kLanes * K::kPair;
  typename K::Vector sum[kRows];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) sum[r] = K::zero();
  for (int64_t k = 0; k < inner; k += kStep) {
    const auto left = K::load_operand(x + k, K::kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      sum[r] = K::add_product(sum[r], left, K::load_operand(weight + r * inner + k, K::kLanes));
    }
  }
  typename K::Element rounded[K::kLanes];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    K::store(rounded, K::all(K::sum(sum[r])));
    out[r] = rounded[0];
  }
}

template <class K>
void row_product(const void* x, const void* weight, int64_t inner, int64_t begin, int64_t end,
                 void* out) {
  using E = typename K::Element;
  constexpr int kRows = 8;  // streams of memory that are read at once
  const auto* rows = static_cast<const E*>(weight);
  int64_t row = begin;
  for (; row + kRows <= end; row += kRows) {
    dot_rows<K, kRows>(static_cast<const E*>(x), rows + row * inner, inner,
                       static_cast<E*>(out) + row);
  }
  for (; row < end; ++row) {
    dot_rows<K, 1>(static_cast<const E*>(x), rows + row * inner, inner, static_cast<E*>(out) + row);
  }
}

}  // namespace
}  // namespace longspan::elementwise
