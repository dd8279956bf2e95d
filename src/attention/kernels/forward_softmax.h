#pragma once

#include "src/attention/kernels/flash_kernels.h"
#include "src/attention/kernels/visible_lanes.h"
#include "src/simd/gemm_tile.h"
#include "src/simd/vector_span.h"

// The softmax of a tile of scores in one block of keys.

namespace longspan::flash {
namespace {

using namespace simd;

/// The columns of S that the rows of a tile see.
struct TileColumns {
  Range rows[kTileRows];
  Range all;    // whole vectors from a pair's first on, of what some row sees
  Range inner;  // pairs of vectors that all rows see
};

/// Calls work(column, its lanes, those of the next vector) for each pair of vectors of `all`.
template <class K, class Work>
[[gnu::always_inline]] inline void each_pair(const TileColumns& columns, int64_t row,
                                             const Work& work) {
  constexpr int64_t lanes = K::kLanes;
  const Range seen = columns.rows[row];
  const auto masked = [&](int64_t c) {
    return VisibleLanes<K>{K::lanes(seen.begin - c, seen.end - c)};
  };
  int64_t c = columns.all.begin;
  for (; c < columns.inner.begin; c += 2 * lanes) work(c, masked(c), masked(c + lanes));
  for (; c < columns.inner.end; c += 2 * lanes) work(c, AllLanes<K>(), AllLanes<K>());
  for (; c + lanes < columns.all.end; c += 2 * lanes) work(c, masked(c), masked(c + lanes));
  if (c < columns.all.end) work(c, masked(c), HiddenLanes<K>());
}

/// The largest score of a row; kHidden where it sees nothing.
template <class K>
[[gnu::always_inline]] inline float maximum(const TileColumns& columns, int64_t row,
                                            const float* scores) {
  typename K::Vector low = K::all(kHidden), high = low;
  each_pair<K>(columns, row, [&](int64_t c, auto first, auto second) {
    low = K::maximum(low, first.load(scores + c));
    high = K::maximum(high, second.load(scores + c + K::kLanes));
  });
  return K::maximum(K::maximum(low, high));
}

/// weights[c] = 2^(scale * scores[c] - max) for the columns that a row sees, and 0 for the others;
/// returns the sum.
template <class K>
[[gnu::always_inline]] inline float exponentiate(const TileColumns& columns, int64_t row,
                                                 const float* scores, float scale, float max,
                                                 uint32_t* weights) {
  const typename K::Vector factor = K::all(scale), shift = K::all(max);
  typename K::Vector sum[2] = {K::zero(), K::zero()};
  const auto power = [&](auto lanes, const float* from) {
    return lanes.keep(K::exp2(K::multiply_subtract(lanes.load(from), factor, shift)));
  };
  each_pair<K>(columns, row, [&](int64_t c, auto first, auto second) {
    const auto low = power(first, scores + c), high = power(second, scores + c + K::kLanes);
    sum[0] = K::add(sum[0], low);
    sum[1] = K::add(sum[1], high);
    K::store_operand(weights + c / K::kPair, low, high);
  });
  return K::sum(K::add(sum[0], sum[1]));
}

}  // namespace
}  // namespace longspan::flash
