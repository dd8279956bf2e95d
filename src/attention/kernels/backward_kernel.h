#pragma once

#include "src/attention/kernels/backward_softmax.h"
#include "src/attention/kernels/pack_kernel.h"

// Gradients of attention (FlashAttention, arXiv:2205.14135, algorithm 4): for each block of keys
// and of query rows, P = exp(S - log-sum-exp) again, dP = dO V^T, dS = P * (dP - delta), and
// dV += P^T dO, dK += dS^T Q, dQ += dS K. Keys are outside, so that dK and dV stay in the L2 cache
// over all query heads of the key/value head.

namespace longspan::flash {
namespace {

using namespace simd;

/// The rows of the block as left operand of S or dP, and in pairs as right operand of dK or dV.
template <class K>
void load_rows(const BackwardBlock<K>& block, Rows from, uint32_t* operand, uint32_t* pairs) {
  const int64_t head_dim = block.geometry.head_dim, rows = block.rows.end - block.rows.begin;
  copy_rows<K>(from, block.rows.begin, rows, head_dim, operand);
  pack_row_pairs<K>({row_of<K>(from, block.rows.begin), from.stride}, rows, head_dim, 0, rows,
                    K::kBackwardRows / K::kPair, pairs);
}

/// S = Q K^T and dP = dO V^T of one tile of rows, in the panels that hold a visible key.
template <class K>
void compute_scores(const BackwardBlock<K>& block, int64_t tile) {
  constexpr int64_t width = kPanelColumns<K>;
  const BackwardScratch<K>& scratch = block.scratch;
  const int64_t pairs = block.geometry.head_dim / K::kPair, row = tile * kTileRows;
  const Range seen = block.seen[tile];
  if (is_empty(seen)) return;
  for (int64_t key = round_down(seen.begin, width); key < seen.end; key += width) {
    const int64_t to = scratch.score_offset(row) + key - block.keys.begin;
    const int64_t columns = seen.end - key;
    multiply_panel<K>({scratch.q + row * pairs, pairs, 1}, block.task.k_panels + key * pairs, pairs,
                      columns, scratch.scores + to, scratch.score_stride);
    multiply_panel<K>({scratch.grad_out + row * pairs, pairs, 1}, block.task.v_panels + key * pairs,
                      pairs, columns, scratch.grad_weights + to, scratch.score_stride);
  }
}

/// The rows of the block that see a key, for each tile of six keys.
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
  for (int64_t tile = 0; tile < block.tiles(); ++tile) {
    compute_scores(block, tile);
    // A tile that sees none of these keys is zeroed where its neighbours' products reach it.
    soften_tile(block, tile);
  }
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
    prefetch_row<K>(a, row + kRowsAhead, head_dim);
    prefetch_row<K>(b, row + kRowsAhead, head_dim);
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
