#pragma once

#include "src/attention/kernels/forward_softmax.h"
#include "src/attention/kernels/pack_kernel.h"

// Online softmax over blocks of keys (FlashAttention, arXiv:2205.14135, algorithm 1) for one block
// of query rows: S = Q K^T, P = exp(S - row maximum), O += P V. Scores are in units of log 2.

namespace longspan::flash {
namespace {

using namespace simd;

constexpr int64_t kForwardTiles = kForwardRows / kTileRows;
static_assert(kForwardRows % kTileRows == 0);

// A power of two as row stride would map the six rows of a tile to one set of the L1 cache.
template <class K>
constexpr int64_t kScoreStride = K::kForwardKeys + 16;  // floats
template <class K>
constexpr int64_t kWeightStride = K::kPair == 1 ? kScoreStride<K>  // dwords
                                                : K::kForwardKeys / K::kPair + 16;

/// The state of one task, laid out in its scratch memory.
template <class K>
struct ForwardBlock {
  const Geometry& geometry;
  const ForwardTask& task;
  float* out;         // [kForwardRows, head_dim], not yet divided by row_sum
  float* scores;      // [kForwardRows, kScoreStride]
  float* row_max;     // [kForwardRows]
  float* row_sum;     // [kForwardRows]
  uint32_t* weights;  // [kForwardRows, kWeightStride], P; in float32 in the place of S
  uint32_t* q;        // [kForwardRows, head_dim / kPair], and a vector of padding

  ForwardBlock(const Geometry& g, const ForwardTask& t, void* scratch) : geometry(g), task(t) {
    out = static_cast<float*>(scratch);
    scores = out + kForwardRows * g.head_dim;
    row_max = scores + kForwardRows * kScoreStride<K>;
    row_sum = row_max + kForwardRows;
    auto* rest = reinterpret_cast<uint32_t*>(row_sum + kForwardRows);
    weights = K::kPair == 1 ? reinterpret_cast<uint32_t*>(scores) : rest;
    q = K::kPair == 1 ? rest : rest + kForwardRows * kWeightStride<K>;
  }

  int64_t tiles() const { return tiles_of(task.rows); }
};

/// One block of keys: of the intervals or, in a pass of its own, of the sinks.
struct KeyBlock {
  Range keys;
  bool sinks;
  Range seen[kForwardTiles];  // by each tile of six rows
};

template <class K>
Range keys_seen(const ForwardBlock<K>& block, bool sinks, int64_t first, int64_t last, Range keys) {
  const int64_t row = block.task.first_row;
  const Range seen = keys_seen(block.geometry, block.task.visible, sinks, row + first, row + last);
  return {max_of(seen.begin, keys.begin), min_of(seen.end, keys.end)};
}

/// S of the tiles that hold a visible key.
template <class K>
void compute_scores(const ForwardBlock<K>& block, const KeyBlock& on) {
  constexpr int64_t width = kPanelColumns<K>;
  const int64_t pairs = block.geometry.head_dim / K::kPair;
  for (int64_t key = on.keys.begin; key < on.keys.end; key += width) {
    const uint32_t* panel = block.task.k_panels + key * pairs;
    for (int64_t tile = 0; tile < block.tiles(); ++tile) {
      const Range seen = on.seen[tile];
      if (is_empty(seen) || seen.begin >= key + width || seen.end <= key) continue;
      float* to = block.scores + tile * kTileRows * kScoreStride<K> + key - on.keys.begin;
      multiply_panel<K>({block.q + tile * kTileRows * pairs, pairs, 1}, panel, pairs,
                        seen.end - key, to, kScoreStride<K>);
    }
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

/// P of one row, and its running maximum and sum. O is rescaled only when the maximum grew.
template <class K>
void soften_row(const ForwardBlock<K>& block, const KeyBlock& on, int64_t row, Range all) {
  uint32_t* weights = block.weights + row * kWeightStride<K>;
  const Range seen =
      row < block.task.rows ? keys_seen(block, on.sinks, row, row, on.keys) : Range{0, 0};
  if (is_empty(seen)) {
    for (int64_t c = all.begin; c < all.end; c += 2 * K::kLanes) {
      K::store_operand(weights + c / K::kPair, K::zero(), K::zero());
    }
    return;
  }
  float* scores = block.scores + row * kScoreStride<K>;
  hide_others<K>(scores, all, {seen.begin - on.keys.begin, seen.end - on.keys.begin});
  const float scale = block.geometry.scale * kLog2E;
  const float old_max = block.row_max[row];
  const float block_max = scale * maximum<K>(scores, all);
  if (block_max > old_max) {
    block.row_max[row] = block_max;
    if (block.row_sum[row] > 0) shrink_row(block, row, __builtin_exp2f(old_max - block_max));
  }
  block.row_sum[row] += exponentiate<K>(scores, weights, all, scale, block.row_max[row]);
}

/// O += P V; the inner dimension of each tile is cut to the keys its rows see.
template <class K>
void add_values(const ForwardBlock<K>& block, const KeyBlock& on) {
  const int64_t head_dim = block.geometry.head_dim;
  const int64_t total_pairs = padded_rows(block.geometry.keys) / K::kPair;
  for (int64_t column = 0; column < head_dim; column += kPanelColumns<K>) {
    const int64_t width = panel_width<K>(head_dim, column);
    for (int64_t tile = 0; tile < block.tiles(); ++tile) {
      const Range seen = on.seen[tile];
      if (is_empty(seen)) continue;
      const int64_t pair = (seen.begin - on.keys.begin) / K::kPair;
      const int64_t pairs = (seen.end - on.keys.begin + K::kPair - 1) / K::kPair - pair;
      const uint32_t* values =
          block.task.v_pairs + column * total_pairs + (on.keys.begin / K::kPair + pair) * width;
      const LeftOperand weights{block.weights, kWeightStride<K>, 1};
      add_product<K>(weights.at(tile * kTileRows, pair), values, pairs, width,
                     block.out + tile * kTileRows * head_dim + column, head_dim);
    }
  }
}

/// All keys of the intervals, or all sinks, in blocks.
template <class K>
void attend(const ForwardBlock<K>& block, bool sinks) {
  const ForwardTask& task = block.task;
  const Range all = keys_seen(block, sinks, 0, task.rows - 1, {0, block.geometry.keys});
  for (int64_t key = round_down(all.begin, kPanelColumns<K>); key < all.end;
       key += K::kForwardKeys) {
    KeyBlock on{{key, min_of(key + K::kForwardKeys, all.end)}, sinks, {}};
    for (int64_t tile = 0; tile < block.tiles(); ++tile) {
      const int64_t first = tile * kTileRows;
      on.seen[tile] =
          keys_seen(block, sinks, first, min_of(first + kTileRows, task.rows) - 1, on.keys);
    }
    compute_scores(block, on);
    for (int64_t row = 0; row < block.tiles() * kTileRows; ++row) {
      const Range tile = on.seen[row / kTileRows];
      if (is_empty(tile)) continue;
      soften_row(
          block, on, row,
          {round_down(tile.begin - key, 2 * K::kLanes), round_up(tile.end - key, 2 * K::kLanes)});
    }
    add_values(block, on);
  }
}

template <class K>
void store(const ForwardBlock<K>& block) {
  const int64_t head_dim = block.geometry.head_dim;
  for (int64_t row = 0; row < block.task.rows; ++row) {
    const int64_t query = block.task.first_row + row;
    const float sum = block.row_sum[row];
    const float inverse = sum == 0 ? 0.0f : 1.0f / sum;  // 0 where nothing is seen
    block.task.log_sum_exp[query] = block.row_max[row] * kLn2 + __builtin_logf(sum);
    typename K::Element* to = row_of<K>(block.task.out, query);
    for (int64_t d = 0; d < head_dim; d += K::kLanes) {
      const auto value = K::load(block.out + row * head_dim + d);
      K::store(to + d, K::multiply(value, K::all(inverse)));
    }
  }
}

template <class K>
size_t forward_scratch_bytes(int64_t head_dim) {
  const int64_t weights = K::kPair == 1 ? 0 : kWeightStride<K>;
  const int64_t row = head_dim + kScoreStride<K> + 2 + weights + head_dim / K::kPair;
  return 4 * (kForwardRows * row + K::kLanes);
}

template <class K>
void forward_task(const Geometry& geometry, const ForwardTask& task, void* scratch) {
  const ForwardBlock<K> block(geometry, task, scratch);
  copy_rows<K>(task.q, task.first_row, task.rows, geometry.head_dim, block.q);
  set_zero<K>(block.out, block.tiles() * kTileRows * geometry.head_dim);
  for (int64_t row = 0; row < task.rows; ++row) {
    block.row_max[row] = -__builtin_inff();
    block.row_sum[row] = 0;
  }
  attend(block, /*sinks=*/false);
  if (task.visible.sink_begin) attend(block, /*sinks=*/true);
  store(block);
}

}  // namespace
}  // namespace longspan::flash
