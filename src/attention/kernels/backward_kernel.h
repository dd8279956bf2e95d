#pragma once

#include "src/attention/kernels/pack_kernel.h"

// Gradients of attention (FlashAttention, arXiv:2205.14135, algorithm 4): for each block of keys
// and of query rows, P = exp(S - log-sum-exp) again, dP = dO V^T, dS = P * (dP - delta), and
// dV += P^T dO, dK += dS^T Q, dQ += dS K. Keys are outside, so that dK and dV stay in the L2 cache
// over all query heads of the key/value head.

namespace longspan::flash {
namespace {

template <class K>
constexpr int64_t kBackwardTiles = K::kBackwardRows / kTileRows;
template <class K>
constexpr int64_t kMaxKeyTiles = (K::backward_keys(16) + kTileRows - 1) / kTileRows;

/// The scratch memory of one task. In float32, P takes the place of S and dS that of dP.
template <class K>
struct BackwardScratch {
  static constexpr int64_t kRows = K::kBackwardRows;
  static_assert(kRows % kTileRows == 0);

  int64_t score_stride;        // floats, of scores and grad_weights
  int64_t pair_stride;         // dwords, of weight_pairs and grad_score_pairs
  int64_t row_stride;          // dwords, of grad_scores
  float* grad_k;               // [key_block, head_dim], without the scale
  float* grad_v;               // [key_block, head_dim]
  float* scores;               // [kRows, score_stride]
  float* grad_weights;         // [kRows, score_stride], dP
  uint32_t* weight_pairs;      // [kRows / kPair, pair_stride], P in pairs of rows
  uint32_t* grad_score_pairs;  // [kRows / kPair, pair_stride], dS in pairs of rows
  uint32_t* grad_scores;       // [kRows, row_stride], dS
  uint32_t* q_pairs;           // of the block's rows, as are the three that follow
  uint32_t* grad_out_pairs;    // [head_dim / w][kRows / kPair][w], panels of w columns
  uint32_t* q;                 // [kRows, head_dim / kPair]
  uint32_t* grad_out;          // [kRows, head_dim / kPair], and a vector of padding

  BackwardScratch(int64_t head_dim, void* memory) {
    const int64_t key_block = K::backward_keys(head_dim);
    score_stride = pair_stride = key_block + 16;
    grad_k = static_cast<float*>(memory);
    grad_v = grad_k + key_block * head_dim;
    scores = grad_v + key_block * head_dim;
    grad_weights = scores + kRows * score_stride;
    auto* rest = reinterpret_cast<uint32_t*>(grad_weights + kRows * score_stride);
    if constexpr (K::kPair == 1) {
      row_stride = score_stride;
      weight_pairs = reinterpret_cast<uint32_t*>(scores);
      grad_score_pairs = grad_scores = reinterpret_cast<uint32_t*>(grad_weights);
      q_pairs = rest;
    } else {
      row_stride = key_block / K::kPair + 16;
      weight_pairs = rest;
      grad_score_pairs = weight_pairs + kRows / K::kPair * pair_stride;
      grad_scores = grad_score_pairs + kRows / K::kPair * pair_stride;
      q_pairs = grad_scores + kRows * row_stride;
    }
    const int64_t operand = kRows * head_dim / K::kPair;
    grad_out_pairs = q_pairs + operand;
    q = grad_out_pairs + operand;
    grad_out = q + operand;
  }

  static size_t bytes(int64_t head_dim) {
    const int64_t key_block = K::backward_keys(head_dim);
    const int64_t stride = key_block + 16;
    int64_t dwords = 2 * key_block * head_dim + 2 * kRows * stride;
    if (K::kPair > 1) {
      dwords += 2 * kRows / K::kPair * stride + kRows * (key_block / K::kPair + 16);
    }
    return 4 * (dwords + 4 * kRows * head_dim / K::kPair + K::kLanes);
  }
};

/// One block of query rows of one head against one block of keys.
template <class K>
struct BackwardBlock {
  const Geometry& geometry;
  const BackwardTask& task;
  const BackwardHead& head;
  const BackwardScratch<K>& scratch;
  bool sinks;  // the sinks that the rows see, not their intervals
  Range keys;
  Range rows;                     // begin is a multiple of kPair
  Range seen[kBackwardTiles<K>];  // keys, for each tile of six rows
  Range seeing[kMaxKeyTiles<K>];  // rows of the block, from 0, for each tile of six keys

  int64_t tiles() const { return tiles_of(rows.end - rows.begin); }

  Range keys_of(int64_t first_row, int64_t last_row) const {
    const Range all = keys_seen(geometry, head.visible, sinks, first_row, last_row);
    return {max_of(all.begin, keys.begin), min_of(all.end, keys.end)};
  }
};

/// The rows of the block as left operand of S or dP, and in pairs as right operand of dK or dV.
template <class K>
void load_rows(const BackwardBlock<K>& block, Rows from, uint32_t* operand, uint32_t* pairs) {
  const int64_t head_dim = block.geometry.head_dim, rows = block.rows.end - block.rows.begin;
  copy_rows<K>(from, block.rows.begin, rows, head_dim, operand);
  pack_row_pairs<K>({row_of<K>(from, block.rows.begin), from.stride}, rows, head_dim, 0, rows,
                    K::kBackwardRows / K::kPair, pairs);
}

/// S = Q K^T and dP = dO V^T, of the tiles that hold a visible key.
template <class K>
void compute_scores(const BackwardBlock<K>& block) {
  constexpr int64_t width = kPanelColumns<K>;
  const BackwardScratch<K>& scratch = block.scratch;
  const int64_t pairs = block.geometry.head_dim / K::kPair;
  for (int64_t key = block.keys.begin; key < block.keys.end; key += width) {
    for (int64_t tile = 0; tile < block.tiles(); ++tile) {
      const Range seen = block.seen[tile];
      if (is_empty(seen) || seen.begin >= key + width || seen.end <= key) continue;
      const int64_t row = tile * kTileRows;
      const int64_t to = row * scratch.score_stride + key - block.keys.begin;
      multiply_tile<K, K::kTileVectors, false>({scratch.q + row * pairs, pairs, 1},
                                               block.task.k_panels + key * pairs, pairs,
                                               scratch.scores + to, scratch.score_stride);
      multiply_tile<K, K::kTileVectors, false>({scratch.grad_out + row * pairs, pairs, 1},
                                               block.task.v_panels + key * pairs, pairs,
                                               scratch.grad_weights + to, scratch.score_stride);
    }
  }
}

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
template <class K, bool kMasked>
inline void soften_columns(const BackwardBlock<K>& block, const RowPair& pair, int64_t row,
                           int64_t column) {
  const BackwardScratch<K>& scratch = block.scratch;
  typename K::Vector weight[2], grad_score[2];
#pragma GCC unroll 2
  for (int64_t i = 0; i < 2; ++i) {
    const int64_t from = (row + i) * scratch.score_stride + column;
    const typename K::Mask visible =
        kMasked ? K::lanes(pair.columns[i].begin - column, pair.columns[i].end - column)
                : K::lanes(0, K::kLanes);
    const auto score = K::load(visible, scratch.scores + from, K::zero());
    const auto grad_weight = K::load(visible, scratch.grad_weights + from, K::zero());
    const auto exponent = K::multiply_subtract(score, K::all(block.geometry.scale * kLog2E),
                                               K::all(pair.log_sum_exp[i]));
    weight[i] = K::keep(visible, K::exp2(exponent));
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
    int64_t column = round_down(begin, lanes);
    for (; column < min_of(inner.begin, end); column += lanes) {
      soften_columns<K, true>(block, pair, row, column);
    }
    for (; column < inner.end; column += lanes) soften_columns<K, false>(block, pair, row, column);
    for (; column < end; column += lanes) soften_columns<K, true>(block, pair, row, column);
  }
}

template <class K>
void find_rows_seeing(BackwardBlock<K>& block) {
  const auto seen_by = [&](int64_t row) {
    return keys_seen(block.geometry, block.head.visible, block.sinks, row, row);
  };
  const int64_t first = block.rows.begin, last = block.rows.end;
  Range rows{first, first};
  for (int64_t key = block.keys.begin; key < block.keys.end; key += kTileRows) {
    while (rows.begin < last && seen_by(rows.begin).end <= key) ++rows.begin;
    while (rows.end < last && seen_by(rows.end).begin < key + kTileRows) ++rows.end;
    block.seeing[(key - block.keys.begin) / kTileRows] = {rows.begin - first, rows.end - first};
  }
}

/// dV += P^T dO and dK += dS^T Q. The inner dimension of each tile of six keys is cut to the rows
/// that see one of them.
template <class K>
void add_grad_keys(const BackwardBlock<K>& block, const uint32_t* left, const uint32_t* right,
                   float* grad) {
  const int64_t head_dim = block.geometry.head_dim;
  const int64_t num_keys = block.keys.end - block.keys.begin;
  for (int64_t column = 0; column < head_dim; column += kPanelColumns<K>) {
    const int64_t width = panel_width<K>(head_dim, column);
    for (int64_t first = 0; first < num_keys; first += kTileRows) {
      const Range rows = block.seeing[first / kTileRows];
      if (is_empty(rows)) continue;
      const int64_t pair = rows.begin / K::kPair;
      const int64_t pairs = (rows.end + K::kPair - 1) / K::kPair - pair;
      const LeftOperand transposed{left, 1, block.scratch.pair_stride};
      add_product<K>(transposed.at(first, pair),
                     right + column * K::kBackwardRows / K::kPair + pair * width, pairs, width,
                     grad + first * head_dim + column, head_dim);
    }
  }
}

/// dQ += dS K.
template <class K>
void add_grad_queries(const BackwardBlock<K>& block, float* grad_q) {
  const int64_t head_dim = block.geometry.head_dim;
  const int64_t total_pairs = padded_rows(block.geometry.keys) / K::kPair;
  const LeftOperand rows{block.scratch.grad_scores, block.scratch.row_stride, 1};
  for (int64_t column = 0; column < head_dim; column += kPanelColumns<K>) {
    const int64_t width = panel_width<K>(head_dim, column);
    for (int64_t tile = 0; tile < block.tiles(); ++tile) {
      const Range seen = block.seen[tile];
      if (is_empty(seen)) continue;
      const int64_t pair = (seen.begin - block.keys.begin) / K::kPair;
      const int64_t pairs = (seen.end - block.keys.begin + K::kPair - 1) / K::kPair - pair;
      const uint32_t* keys =
          block.task.k_pairs + column * total_pairs + (block.keys.begin / K::kPair + pair) * width;
      add_product<K>(rows.at(tile * kTileRows, pair), keys, pairs, width,
                     grad_q + tile * kTileRows * head_dim + column, head_dim);
    }
  }
}

/// All five products of one block.
template <class K>
void add_block(BackwardBlock<K>& block, const GradQuery& grad_q) {
  const BackwardScratch<K>& scratch = block.scratch;
  const int64_t head_dim = block.geometry.head_dim;
  load_rows(block, block.head.q, scratch.q, scratch.q_pairs);
  load_rows(block, block.head.grad_out, scratch.grad_out, scratch.grad_out_pairs);
  for (int64_t tile = 0; tile < block.tiles(); ++tile) {
    const int64_t first = block.rows.begin + tile * kTileRows;
    block.seen[tile] = block.keys_of(first, min_of(first + kTileRows, block.rows.end) - 1);
  }
  find_rows_seeing(block);
  compute_scores(block);
  // A tile that sees none of these keys is zeroed where its neighbours' products reach it.
  for (int64_t tile = 0; tile < block.tiles(); ++tile) soften_tile(block, tile);
  add_grad_keys(block, scratch.weight_pairs, scratch.grad_out_pairs, scratch.grad_v);
  add_grad_keys(block, scratch.grad_score_pairs, scratch.q_pairs, scratch.grad_k);
  add_grad_queries(block, grad_q.data + (block.rows.begin - grad_q.row_begin) * head_dim);
}

template <class K>
void store(const float* grad, int64_t head_dim, float scale, Range keys, MutableRows to) {
  for (int64_t key = keys.begin; key < keys.end; ++key) {
    for (int64_t d = 0; d < head_dim; d += K::kLanes) {
      const auto value = K::load(grad + (key - keys.begin) * head_dim + d);
      K::store(row_of<K>(to, key) + d, K::multiply(value, K::all(scale)));
    }
  }
}

template <class K>
void backward_task(const Geometry& geometry, const BackwardTask& task, void* memory) {
  const BackwardScratch<K> scratch(geometry.head_dim, memory);
  const int64_t head_dim = geometry.head_dim;
  const int64_t key_block = K::backward_keys(head_dim);
  for (int64_t head = 0; head < task.num_heads; ++head) {
    const GradQuery& to = task.grad_q[head];
    set_zero<K>(to.data, (to.row_end - to.row_begin + kGradQueryPadding) * head_dim);
  }
  for (int64_t key = task.key_begin; key < task.key_end; key += key_block) {
    const Range keys{key, min_of(key + key_block, task.key_end)};
    set_zero<K>(scratch.grad_k, key_block * head_dim);
    set_zero<K>(scratch.grad_v, key_block * head_dim);
    const auto add_rows = [&](int64_t head, bool sinks) {
      const BackwardHead& of = task.heads[head];
      const Range rows = rows_seeing(geometry, of.visible, sinks, keys);
      for (int64_t row = rows.begin; row < rows.end; row += K::kBackwardRows) {
        const Range block_rows{row, min_of(row + K::kBackwardRows, rows.end)};
        BackwardBlock<K> block{geometry, task, of, scratch, sinks, keys, block_rows, {}, {}};
        add_block(block, task.grad_q[head]);
      }
    };
    for (int64_t head = 0; head < task.num_heads; ++head) {
      add_rows(head, /*sinks=*/false);
      if (task.heads[head].visible.sink_begin) add_rows(head, /*sinks=*/true);
    }
    store<K>(scratch.grad_k, head_dim, geometry.scale, keys, task.grad_k);
    store<K>(scratch.grad_v, head_dim, 1.0f, keys, task.grad_v);
  }
}

// Passes over whole rows, before and after the blocks.

template <class K>
void row_dot_products(Rows a, Rows b, int64_t head_dim, int64_t begin, int64_t end, float* delta) {
  for (int64_t row = begin; row < end; ++row) {
    prefetch_row<K>(a, row, head_dim);
    prefetch_row<K>(b, row, head_dim);
    typename K::Vector sum = K::zero();
    for (int64_t d = 0; d < head_dim; d += K::kLanes) {
      sum = K::multiply_add(K::load(row_of<K>(a, row) + d), K::load(row_of<K>(b, row) + d), sum);
    }
    delta[row] = K::sum(sum);
  }
}

template <class K>
void sum_grad_query(const GradQuery* parts, int64_t part_stride, int64_t num_parts,
                    int64_t head_dim, float scale, int64_t begin, int64_t end, MutableRows to) {
  for (int64_t row = begin; row < end; ++row) {
    for (int64_t d = 0; d < head_dim; d += K::kLanes) {
      typename K::Vector sum = K::zero();
      for (int64_t i = 0; i < num_parts; ++i) {
        const GradQuery& part = parts[i * part_stride];
        if (row < part.row_begin || row >= part.row_end) continue;
        sum = K::add(sum, K::load(part.data + (row - part.row_begin) * head_dim + d));
      }
      K::store(row_of<K>(to, row) + d, K::multiply(sum, K::all(scale)));
    }
  }
}

}  // namespace
}  // namespace longspan::flash
