#pragma once

#include "src/attention/kernels/backward_block.h"
#include "src/attention/kernels/visible_lanes.h"
#include "src/simd/vector_span.h"

// P = exp(S - log-sum-exp) and dS = P * (dP - delta) of one block, from S and dP.

namespace longspan::flash {
namespace {

using namespace simd;

/// What the softmax of two neighbouring rows needs; the second may be past the last row.
struct RowPair {
  Range columns[2];
  float log_sum_exp[2];  // base 2
  float delta[2];
};

template <class K>
RowPair row_pair(const BackwardBlock<K>& block, int64_t row) {
  RowPair pair = {};
  for (int64_t i = 0; i < 2 && row + i < block.rows.end; ++i) {
    const Range seen = block.keys_of(row + i, row + i);
    pair.columns[i] = {seen.begin - block.keys.begin, seen.end - block.keys.begin};
    pair.log_sum_exp[i] = block.head.log_sum_exp[row + i] * kLog2E;
    pair.delta[i] = block.head.delta[row + i];
  }
  return pair;
}

/// P and dS of one vector of columns of two rows, stored as the operands of the three products.
template <class K, class Lanes>
inline void soften_columns(const BackwardBlock<K>& block, const RowPair& pair, int64_t row,
                           int64_t column, const Lanes (&seen)[2]) {
  const BackwardScratch<K>& scratch = block.scratch;
  typename K::Vector weight[2], grad_score[2];
#pragma GCC unroll 2
  for (int64_t i = 0; i < 2; ++i) {
    const int64_t from = scratch.score_offset(row + i) + column;
    const auto score = seen[i].load(scratch.scores + from);
    const auto grad_weight = seen[i].load(scratch.grad_weights + from);
    const auto exponent = K::multiply_subtract(score, K::all(block.geometry.scale * kLog2E),
                                               K::all(pair.log_sum_exp[i]));
    weight[i] = seen[i].keep(K::exp2(exponent));
    grad_score[i] = K::multiply(weight[i], K::subtract(grad_weight, K::all(pair.delta[i])));
  }
  const int64_t to = row / K::kPair * scratch.pair_stride + column;
  K::store_row_pair(scratch.weight_pairs + to, scratch.pair_stride, weight[0], weight[1]);
  K::store_row_pair(scratch.grad_score_pairs + to, scratch.pair_stride, grad_score[0],
                    grad_score[1]);
  if constexpr (K::kPair == 2) {
    uint32_t* rows = scratch.grad_scores + row * scratch.row_stride + column / K::kPair;
    K::store_rows(rows, scratch.row_stride, grad_score[0], grad_score[1]);
  }
}

/// P and dS of one tile of six rows. Columns up to five past the visible ones are zeroed as well:
/// the products with P^T and dS^T read them, as their tiles are six keys high.
template <class K>
void soften_tile(const BackwardBlock<K>& block, int64_t tile) {
  constexpr int64_t lanes = K::kLanes;
  const Range seen = block.seen[tile];
  const int64_t key_block = K::backward_keys(block.geometry.head_dim);
  const int64_t begin = max_of(0, seen.begin - block.keys.begin - (kTileRows - 1));
  const int64_t end = min_of(key_block, seen.end - block.keys.begin + kTileRows - 1);
  for (int64_t row = tile * kTileRows; row < (tile + 1) * kTileRows; row += 2) {
    const RowPair pair = row_pair(block, block.rows.begin + row);
    const Range inner{round_up(max_of(pair.columns[0].begin, pair.columns[1].begin), lanes),
                      round_down(min_of(pair.columns[0].end, pair.columns[1].end), lanes)};
    const auto soften_masked = [&](int64_t c) {
      VisibleLanes<K> visible[2];
      for (int i = 0; i < 2; ++i) {
        visible[i].mask = K::lanes(pair.columns[i].begin - c, pair.columns[i].end - c);
      }
      soften_columns(block, pair, row, c, visible);
    };
    const AllLanes<K> all[2];
    int64_t column = round_down(begin, lanes);
    for (; column < min_of(inner.begin, end); column += lanes) soften_masked(column);
    for (; column < inner.end; column += lanes) soften_columns(block, pair, row, column, all);
    for (; column < end; column += lanes) soften_masked(column);
  }
}

}  // namespace
}  // namespace longspan::flash
