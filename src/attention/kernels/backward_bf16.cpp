#include "src/attention/kernels/softmax_bf16.h"

// Gradients of attention (FlashAttention, arXiv:2205.14135, algorithm 4): for each block of keys
// and of query rows, P = exp(S - log-sum-exp) again, dP = dO V^T, dS = P * (dP - delta), and
// dV += P^T dO, dK += dS^T Q, dQ += dS K. Keys are outside, so that dK and dV stay in the L2 cache
// over all query heads of the key/value head.

namespace longspan::bf16 {
namespace {

constexpr int64_t kRows = 192;
constexpr int64_t kTiles = kRows / kTileRows;
static_assert(kRows % kTileRows == 0);

/// The scratch memory of one task.
struct Scratch {
  int64_t score_stride;        // floats
  int64_t pair_stride;         // dwords
  int64_t weight_stride;       // bf16
  float* grad_k;               // [key_block, head_dim], without the scale
  float* grad_v;               // [key_block, head_dim]
  float* scores;               // [kRows, score_stride]
  float* grad_weights;         // [kRows, score_stride], dP
  uint32_t* weight_pairs;      // [kRows / 2, pair_stride], P in pairs of rows
  uint32_t* grad_score_pairs;  // [kRows / 2, pair_stride], dS in pairs of rows
  uint16_t* grad_scores;       // [kRows, weight_stride], dS
  uint16_t* q;                 // [kRows, head_dim]
  uint16_t* grad_out;          // [kRows, head_dim]

  Scratch(int64_t head_dim, void* memory) {
    const int64_t key_block = backward_key_block(head_dim);
    score_stride = key_block + 16;
    pair_stride = key_block + 16;
    weight_stride = key_block + 32;
    grad_k = static_cast<float*>(memory);
    grad_v = grad_k + key_block * head_dim;
    scores = grad_v + key_block * head_dim;
    grad_weights = scores + kRows * score_stride;
    weight_pairs = reinterpret_cast<uint32_t*>(grad_weights + kRows * score_stride);
    grad_score_pairs = weight_pairs + kRows / 2 * pair_stride;
    grad_scores = reinterpret_cast<uint16_t*>(grad_score_pairs + kRows / 2 * pair_stride);
    q = grad_scores + kRows * weight_stride;
    grad_out = q + kRows * head_dim;
  }
};

/// One block of query rows of one head against one block of keys.
struct Block {
  const Geometry& geometry;
  const BackwardTask& task;
  const BackwardHead& head;
  const Scratch& scratch;
  Range keys;
  Range rows;          // begin is even
  Range seen[kTiles];  // keys, for each tile of six rows

  int64_t tiles() const { return tiles_of(rows.end - rows.begin); }

  Range keys_of(int64_t first_row, int64_t last_row) const {
    const int64_t past = geometry.keys - geometry.queries + last_row + 1;
    return {max_of(head.key_start[first_row], keys.begin), min_of(past, keys.end)};
  }
};

/// S = Q K^T and dP = dO V^T, of the 6x64 tiles that hold a visible key.
void compute_scores(const Block& block) {
  const Scratch& scratch = block.scratch;
  const int64_t pairs = block.geometry.head_dim / 2;
  const auto* q = reinterpret_cast<const uint32_t*>(scratch.q);
  const auto* grad_out = reinterpret_cast<const uint32_t*>(scratch.grad_out);
  for (int64_t key = block.keys.begin; key < block.keys.end; key += kPanelColumns) {
    for (int64_t tile = 0; tile < block.tiles(); ++tile) {
      const Range seen = block.seen[tile];
      if (seen.empty() || seen.begin >= key + kPanelColumns || seen.end <= key) continue;
      const int64_t row = tile * kTileRows;
      const int64_t to = row * scratch.score_stride + key - block.keys.begin;
      multiply_tile<4, false>({q + row * pairs, pairs, 1}, block.task.k_panels + key * pairs, pairs,
                              scratch.scores + to, scratch.score_stride);
      multiply_tile<4, false>({grad_out + row * pairs, pairs, 1}, block.task.v_panels + key * pairs,
                              pairs, scratch.grad_weights + to, scratch.score_stride);
    }
  }
}

/// What the softmax of two neighbouring rows needs; the second may be past the last row.
struct RowPair {
  Range columns[2];
  float log_sum_exp[2];  // base 2
  float delta[2];
};

RowPair row_pair(const Block& block, int64_t row) {
  RowPair pair = {};
  for (int64_t i = 0; i < 2 && row + i < block.rows.end; ++i) {
    const Range seen = block.keys_of(row + i, row + i);
    pair.columns[i] = {seen.begin - block.keys.begin, seen.end - block.keys.begin};
    pair.log_sum_exp[i] = block.head.log_sum_exp[row + i] * kLog2E;
    pair.delta[i] = block.head.delta[row + i];
  }
  return pair;
}

/// P and dS of 16 columns of two rows, stored as pairs of rows and, dS, as rows too.
template <bool kMasked>
inline void soften_columns(const Block& block, const RowPair& pair, int64_t row, int64_t column) {
  const Scratch& scratch = block.scratch;
  // Lane 2n takes lane n of the first row, lane 2n + 1 that of the second.
  const __m512i interleave =
      _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                       21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  __m512 weight[2];
  __m512 grad_score[2];
#pragma GCC unroll 2
  for (int64_t i = 0; i < 2; ++i) {
    const int64_t from = (row + i) * scratch.score_stride + column;
    const __mmask16 visible = kMasked ? lanes_inside(column, pair.columns[i]) : 0xffff;
    const __m512 score = _mm512_maskz_loadu_ps(visible, scratch.scores + from);
    const __m512 grad_weight = _mm512_maskz_loadu_ps(visible, scratch.grad_weights + from);
    const __m512 exponent = _mm512_fmsub_ps(score, _mm512_set1_ps(block.geometry.scale * kLog2E),
                                            _mm512_set1_ps(pair.log_sum_exp[i]));
    weight[i] = _mm512_maskz_mov_ps(visible, exp2_of(exponent));
    grad_score[i] =
        _mm512_mul_ps(weight[i], _mm512_sub_ps(grad_weight, _mm512_set1_ps(pair.delta[i])));
  }
  const __m512i weights = to_bf16(weight[0], weight[1]);
  const __m512i grad_scores = to_bf16(grad_score[0], grad_score[1]);
  const int64_t to = row / 2 * scratch.pair_stride + column;
  _mm512_storeu_si512(scratch.weight_pairs + to, _mm512_permutexvar_epi16(interleave, weights));
  _mm512_storeu_si512(scratch.grad_score_pairs + to,
                      _mm512_permutexvar_epi16(interleave, grad_scores));
  uint16_t* rows = scratch.grad_scores + row * scratch.weight_stride + column;
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(rows), _mm512_castsi512_si256(grad_scores));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(rows + scratch.weight_stride),
                      _mm512_extracti64x4_epi64(grad_scores, 1));
}

/// P and dS of one tile of six rows. Columns up to five past the visible ones are zeroed as well:
/// the products with P^T and dS^T read them, as their tiles are six keys high.
void soften_tile(const Block& block, int64_t tile) {
  const Range seen = block.seen[tile];
  const int64_t key_block = backward_key_block(block.geometry.head_dim);
  const int64_t begin = max_of(0, seen.begin - block.keys.begin - (kTileRows - 1));
  const int64_t end = min_of(key_block, seen.end - block.keys.begin + kTileRows - 1);
  for (int64_t row = tile * kTileRows; row < (tile + 1) * kTileRows; row += 2) {
    const RowPair pair = row_pair(block, block.rows.begin + row);
    const Range inner{round_up(max_of(pair.columns[0].begin, pair.columns[1].begin), 16),
                      round_down(min_of(pair.columns[0].end, pair.columns[1].end), 16)};
    int64_t column = round_down(begin, 16);
    for (; column < min_of(inner.begin, end); column += 16) {
      soften_columns<true>(block, pair, row, column);
    }
    for (; column < inner.end; column += 16) soften_columns<false>(block, pair, row, column);
    for (; column < end; column += 16) soften_columns<true>(block, pair, row, column);
  }
}

/// dV += P^T dO and dK += dS^T Q. The inner dimension of each tile of six keys is cut to the rows
/// that see one of them.
void add_grad_keys(const Block& block, const uint32_t* left, const uint32_t* right, float* grad) {
  const int64_t head_dim = block.geometry.head_dim;
  const int64_t total_pairs = padded_rows(block.geometry.queries) / 2;
  const int64_t first_position = block.geometry.keys - block.geometry.queries;
  for (int64_t column = 0; column < head_dim; column += kPanelColumns) {
    const int64_t width = panel_width(head_dim, column);
    int64_t row_end = block.rows.begin;
    for (int64_t key = block.keys.begin; key < block.keys.end; key += kTileRows) {
      const int64_t row_begin = max_of(block.rows.begin, key - first_position);
      while (row_end < block.rows.end && block.head.key_start[row_end] < key + kTileRows) ++row_end;
      if (row_begin >= row_end) continue;
      const int64_t pair = row_begin / 2;
      const int64_t pairs = (row_end + 1) / 2 - pair;
      const int64_t first = key - block.keys.begin;
      const LeftOperand transposed{left, 1, block.scratch.pair_stride};
      add_product(transposed.at(first, pair - block.rows.begin / 2),
                  right + column * total_pairs + pair * width, pairs, width,
                  grad + first * head_dim + column, head_dim);
    }
  }
}

/// dQ += dS K.
void add_grad_queries(const Block& block, float* grad_q) {
  const int64_t head_dim = block.geometry.head_dim;
  const int64_t total_pairs = padded_rows(block.geometry.keys) / 2;
  const LeftOperand rows{reinterpret_cast<const uint32_t*>(block.scratch.grad_scores),
                         block.scratch.weight_stride / 2, 1};
  for (int64_t column = 0; column < head_dim; column += kPanelColumns) {
    const int64_t width = panel_width(head_dim, column);
    for (int64_t tile = 0; tile < block.tiles(); ++tile) {
      const Range seen = block.seen[tile];
      if (seen.empty()) continue;
      const int64_t pair = (seen.begin - block.keys.begin) / 2;
      const int64_t pairs = (seen.end - block.keys.begin + 1) / 2 - pair;
      add_product(rows.at(tile * kTileRows, pair),
                  block.task.k_pairs + column * total_pairs + (block.keys.begin / 2 + pair) * width,
                  pairs, width, grad_q + tile * kTileRows * head_dim + column, head_dim);
    }
  }
}

/// All five products of one block.
void add_block(Block& block, const GradQuery& grad_q) {
  const Scratch& scratch = block.scratch;
  const int64_t head_dim = block.geometry.head_dim;
  const int64_t rows = block.rows.end - block.rows.begin;
  copy_rows(block.head.q, block.rows.begin, rows, head_dim, scratch.q);
  copy_rows(block.head.grad_out, block.rows.begin, rows, head_dim, scratch.grad_out);
  for (int64_t tile = 0; tile < block.tiles(); ++tile) {
    const int64_t first = block.rows.begin + tile * kTileRows;
    block.seen[tile] = block.keys_of(first, min_of(first + kTileRows, block.rows.end) - 1);
  }
  compute_scores(block);
  for (int64_t tile = 0; tile < block.tiles(); ++tile) {
    if (!block.seen[tile].empty()) soften_tile(block, tile);
  }
  add_grad_keys(block, scratch.weight_pairs, block.head.grad_out_pairs, scratch.grad_v);
  add_grad_keys(block, scratch.grad_score_pairs, block.head.q_pairs, scratch.grad_k);
  add_grad_queries(block, grad_q.data + (block.rows.begin - grad_q.row_begin) * head_dim);
}

void store(const float* grad, int64_t head_dim, float scale, Range keys, MutableRows to) {
  for (int64_t key = keys.begin; key < keys.end; ++key) {
    for (int64_t d = 0; d < head_dim; d += 16) {
      const __m512 value = _mm512_loadu_ps(grad + (key - keys.begin) * head_dim + d);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to.data + key * to.stride + d),
                          to_bf16(_mm512_mul_ps(value, _mm512_set1_ps(scale))));
    }
  }
}

}  // namespace

int64_t backward_key_block(int64_t head_dim) {
  return head_dim <= 64 ? 768 : head_dim <= 128 ? 576 : 192;
}

size_t backward_scratch_bytes(int64_t head_dim) {
  const int64_t key_block = backward_key_block(head_dim);
  const int64_t floats = 2 * key_block * head_dim + 2 * kRows * (key_block + 16);
  const int64_t dwords = kRows * (key_block + 16);
  const int64_t halves = kRows * (key_block + 32 + 2 * head_dim);
  return 4 * (floats + dwords) + 2 * halves;
}

GradQuery rows_seeing(const Geometry& geometry, const int32_t* key_start, int64_t key_begin,
                      int64_t key_end) {
  const int64_t begin = max_of(0, key_begin - (geometry.keys - geometry.queries));
  int64_t low = begin;
  int64_t high = geometry.queries;
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (key_start[middle] < key_end) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return {nullptr, round_down(begin, 2), low};
}

void backward_task(const Geometry& geometry, const BackwardTask& task, void* memory) {
  const Scratch scratch(geometry.head_dim, memory);
  const int64_t head_dim = geometry.head_dim;
  const int64_t key_block = backward_key_block(head_dim);
  for (int64_t head = 0; head < task.num_heads; ++head) {
    const GradQuery& to = task.grad_q[head];
    set_zero(to.data, (to.row_end - to.row_begin + kGradQueryPadding) * head_dim);
  }
  for (int64_t key = task.key_begin; key < task.key_end; key += key_block) {
    const Range keys{key, min_of(key + key_block, task.key_end)};
    set_zero(scratch.grad_k, key_block * head_dim);
    set_zero(scratch.grad_v, key_block * head_dim);
    for (int64_t head = 0; head < task.num_heads; ++head) {
      const GradQuery rows =
          rows_seeing(geometry, task.heads[head].key_start, keys.begin, keys.end);
      for (int64_t row = rows.row_begin; row < rows.row_end; row += kRows) {
        Block block{geometry, task, task.heads[head],
                    scratch,  keys, {row, min_of(row + kRows, rows.row_end)},
                    {}};
        add_block(block, task.grad_q[head]);
      }
    }
    store(scratch.grad_k, head_dim, geometry.scale, keys, task.grad_k);
    store(scratch.grad_v, head_dim, 1.0f, keys, task.grad_v);
  }
}

}  // namespace longspan::bf16
