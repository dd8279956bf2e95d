#pragma once

#include "src/simd/gemm_tile.h"

// The softmax of one row of scores in one block of keys.

namespace longspan::flash {
namespace {

using namespace simd;

/// Columns of the row that every two vectors cover without a mask.
template <class K>
Range unmasked(Range columns) {
  const int64_t begin = round_up(columns.begin, 2 * K::kLanes);
  return {begin, max_of(begin, round_down(columns.end, 2 * K::kLanes))};
}

template <class K>
float maximum(const float* scores, Range columns) {
  constexpr int64_t lanes = K::kLanes;
  const typename K::Vector none = K::all(-__builtin_inff());
  typename K::Vector high[2] = {none, none};
  const Range inner = unmasked<K>(columns);
  for (int64_t c = round_down(columns.begin, 2 * lanes); c < columns.end; c += 2 * lanes) {
    if (c == inner.begin) {
      for (; c < inner.end; c += 2 * lanes) {
        high[0] = K::maximum(high[0], K::load(scores + c));
        high[1] = K::maximum(high[1], K::load(scores + c + lanes));
      }
      if (c >= columns.end) break;
    }
    for (int64_t half = 0; half < 2; ++half) {
      const int64_t column = c + lanes * half;
      const auto visible = K::lanes(columns.begin - column, columns.end - column);
      high[half] = K::maximum(high[half], K::load(visible, scores + column, none));
    }
  }
  return K::maximum(K::maximum(high[0], high[1]));
}

/// weights[c] = 2^(scale * scores[c] - max) for the visible columns and 0 for the rest of `all`
/// (multiples of two vectors); returns the sum.
template <class K>
float exponentiate(const float* scores, uint32_t* weights, Range all, Range columns, float scale,
                   float max) {
  constexpr int64_t lanes = K::kLanes;
  const typename K::Vector factor = K::all(scale), shift = K::all(max);
  typename K::Vector sum[2] = {K::zero(), K::zero()};
  const Range inner = unmasked<K>(columns);
  for (int64_t c = all.begin; c < all.end; c += 2 * lanes) {
    if (c == inner.begin) {
      for (; c < inner.end; c += 2 * lanes) {
        const auto low = K::exp2(K::multiply_subtract(K::load(scores + c), factor, shift));
        const auto high = K::exp2(K::multiply_subtract(K::load(scores + c + lanes), factor, shift));
        sum[0] = K::add(sum[0], low);
        sum[1] = K::add(sum[1], high);
        K::store_operand(weights + c / K::kPair, low, high);
      }
      if (c >= all.end) break;
    }
    typename K::Vector value[2];
    for (int64_t half = 0; half < 2; ++half) {
      const int64_t column = c + lanes * half;
      const auto visible = K::lanes(columns.begin - column, columns.end - column);
      const auto score = K::load(visible, scores + column, K::zero());
      value[half] = K::keep(visible, K::exp2(K::multiply_subtract(score, factor, shift)));
      sum[half] = K::add(sum[half], value[half]);
    }
    K::store_operand(weights + c / K::kPair, value[0], value[1]);
  }
  return K::sum(K::add(sum[0], sum[1]));
}

}  // namespace
}  // namespace longspan::flash
