#pragma once

#include "src/attention/kernels/forward_values.h"
#include "src/attention/kernels/pack_kernel.h"

// Online softmax over blocks of keys (FlashAttention, arXiv:2205.14135, algorithm 1) for one block
// of query rows: S = Q K^T, P = exp(S - row maximum), O += P V. Scores are in units of log 2. Six
// rows go all the way before the next six, so that their S and P stay in the L1 cache.

namespace longspan::flash {
namespace {

using namespace simd;

/// Whether rows are operands where they lie.
template <class K>
bool are_operands(Rows rows) {
  return sizeof(typename K::Element) * K::kPair == sizeof(uint32_t) &&
         rows.stride % K::kPair == 0 &&
         reinterpret_cast<uintptr_t>(rows.data) % sizeof(uint32_t) == 0;
}

/// Q of a tile. Rows that are read once stay where they lie, if they can; others are copied before
/// the first block of keys.
template <class K>
LeftOperand query_rows(const ForwardBlock<K>& block, int64_t first, int64_t key_block, bool once) {
  const Rows q = block.task.q;
  const int64_t query = block.task.first_row + first, rows = block.task.rows - first;
  const int64_t head_dim = block.geometry.head_dim, pairs = head_dim / K::kPair;
  if (once && rows >= kTileRows && are_operands<K>(q)) {
    for (int64_t i = 0; i < kTileRows; ++i) prefetch_row<K>(q, query + i + kRowsAhead, head_dim);
    const auto* from = reinterpret_cast<const uint32_t*>(row_of<K>(q, query));
    return {from, q.stride / K::kPair, 1};
  }
  uint32_t* copy = block.q + first * pairs;
  if (key_block == 0) copy_rows<K>(q, query, min_of(kTileRows, rows), head_dim, copy);
  return {copy, pairs, 1};
}

/// S in the panels that hold a visible key.
template <class K>
void compute_scores(const QueryTile<K>& tile, LeftOperand q) {
  constexpr int64_t width = kPanelColumns<K>;
  const ForwardBlock<K>& block = tile.block;
  const int64_t pairs = block.geometry.head_dim / K::kPair;
  const LeftOperand rows{q.data, q.row_stride, 1};  // the stride is known to the compiler
  if (is_empty(tile.seen)) return;
  for (int64_t key = round_down(tile.seen.begin, width); key < tile.seen.end; key += width) {
    multiply_panel<K>(rows, block.task.k_panels + key * pairs, pairs, tile.seen.end - key,
                      block.scores + key - tile.keys.begin, kScoreStride<K>);
  }
}

template <class K>
void shrink_row(const ForwardBlock<K>& block, int64_t row, float factor) {
  const int64_t head_dim = block.geometry.head_dim;
  float* out = block.out + row * head_dim;
  for (int64_t d = 0; d < head_dim; d += K::kLanes) {
    K::store(out + d, K::multiply(K::load(out + d), K::all(factor)));
  }
  block.row_sum[row] *= factor;
}

/// The running maximum of one row. O is rescaled only when it grew.
template <class K>
void raise_maximum(const ForwardBlock<K>& block, int64_t row, float found) {
  const float before = block.row_max[row];
  if (!(found > before)) return;
  block.row_max[row] = found;
  if (block.row_sum[row] > 0) shrink_row(block, row, __builtin_exp2f(before - found));
}

/// P, and the running sums. All maxima come before the first exponential, so that no row waits for
/// its own.
template <class K>
void soften(const QueryTile<K>& tile) {
  if (is_empty(tile.seen)) return;
  const ForwardBlock<K>& block = tile.block;
  const TileColumns columns = tile.columns();
  const float scale = block.geometry.scale * kLog2E;
  for (int64_t i = 0; i < kTileRows; ++i) {
    raise_maximum(block, tile.first_row + i,
                  scale * maximum<K>(columns, i, block.scores + i * kScoreStride<K>));
  }
  for (int64_t i = 0; i < kTileRows; ++i) {
    const int64_t row = tile.first_row + i;
    block.row_sum[row] += exponentiate<K>(columns, i, block.scores + i * kScoreStride<K>, scale,
                                          block.row_max[row], block.weights + i * kWeightStride<K>);
  }
}

template <class K>
void store_log_sum_exp(const QueryTile<K>& tile) {
  const ForwardBlock<K>& block = tile.block;
  for (int64_t row = tile.first_row; row <= tile.last_row; ++row) {
    block.task.log_sum_exp[block.task.first_row + row] =
        block.row_max[row] * kLn2 + __builtin_logf(block.row_sum[row]);
  }
}

template <class K>
void forward_task(const Geometry& geometry, const ForwardTask& task, void* scratch) {
  const ForwardBlock<K> block(geometry, task, scratch);
  const KeyBlocks<K> blocks(geometry, task);
  const int64_t last = blocks.count() - 1;
  for (int64_t row = 0; row < kForwardRows; ++row) {
    block.row_max[row] = -__builtin_inff();
    block.row_sum[row] = 0;
  }
  if (last > 0) set_zero<K>(block.out, kForwardRows * geometry.head_dim);
  for (int64_t i = 0; i <= last; ++i) {
    for (int64_t row = 0; row < task.rows; row += kTileRows) {
      const QueryTile<K> tile(block, blocks.at(i), row);
      compute_scores(tile, query_rows(block, row, i, last == 0));
      soften(tile);
      if (last == 0) {
        store_values(tile);
      } else {
        add_values(tile);
        if (i == last) store_rows(tile);
      }
      if (i == last) store_log_sum_exp(tile);
    }
  }
}

}  // namespace
}  // namespace longspan::flash
