#include "src/attention/kernels/softmax_bf16.h"

// Online softmax over blocks of keys (FlashAttention, arXiv:2205.14135, algorithm 1) for one block
// of query rows: S = Q K^T, P = exp(S - row maximum), O += P V. Scores are in units of log 2.

namespace longspan::bf16 {
namespace {

constexpr int64_t kKeyBlock = 512;
constexpr int64_t kTiles = kForwardRows / kTileRows;
static_assert(kForwardRows % kTileRows == 0);
// A power of two as row stride would map the six rows of a tile to one set of the L1 cache.
constexpr int64_t kScoreStride = kKeyBlock + 16;   // floats
constexpr int64_t kWeightStride = kKeyBlock + 32;  // bf16

/// The state of one task, laid out in its scratch memory.
struct Block {
  const Geometry& geometry;
  const ForwardTask& task;
  float* out;         // [kForwardRows, head_dim], not yet divided by row_sum
  float* scores;      // [kForwardRows, kScoreStride]
  uint16_t* weights;  // [kForwardRows, kWeightStride], P in bf16
  uint16_t* q;        // [kForwardRows, head_dim]
  float* row_max;     // [kForwardRows]
  float* row_sum;     // [kForwardRows]

  Block(const Geometry& g, const ForwardTask& t, void* scratch) : geometry(g), task(t) {
    out = static_cast<float*>(scratch);
    scores = out + kForwardRows * g.head_dim;
    row_max = scores + kForwardRows * kScoreStride;
    row_sum = row_max + kForwardRows;
    weights = reinterpret_cast<uint16_t*>(row_sum + kForwardRows);
    q = weights + kForwardRows * kWeightStride;
  }

  /// The keys of [keys.begin, keys.end) which some of the rows [first, last] of the block see.
  Range seen(int64_t first, int64_t last, Range keys) const {
    const int64_t row = task.first_row + first;
    const int64_t past = geometry.keys - geometry.queries + task.first_row + last + 1;
    return {max_of(task.key_start[row], keys.begin), min_of(past, keys.end)};
  }
};

/// S of the 6x64 tiles that hold a visible key.
void compute_scores(const Block& block, Range keys, const Range (&seen)[kTiles], int64_t tiles) {
  const int64_t pairs = block.geometry.head_dim / 2;
  for (int64_t key = keys.begin; key < keys.end; key += kPanelColumns) {
    const uint32_t* panel = block.task.k_panels + key * pairs;
    for (int64_t tile = 0; tile < tiles; ++tile) {
      if (seen[tile].empty() || seen[tile].begin >= key + kPanelColumns || seen[tile].end <= key) {
        continue;
      }
      const auto* rows = reinterpret_cast<const uint32_t*>(block.q) + tile * kTileRows * pairs;
      multiply_tile<4, false>({rows, pairs, 1}, panel, pairs,
                              block.scores + tile * kTileRows * kScoreStride + key - keys.begin,
                              kScoreStride);
    }
  }
}

/// Columns of the row that every vector of 32 covers without a mask.
Range unmasked(Range columns) {
  const int64_t begin = round_up(columns.begin, 32);
  return {begin, max_of(begin, round_down(columns.end, 32))};
}

float maximum(const float* scores, Range columns) {
  const __m512 none = _mm512_set1_ps(-__builtin_inff());
  __m512 high[2] = {none, none};
  const Range inner = unmasked(columns);
  for (int64_t c = round_down(columns.begin, 32); c < columns.end; c += 32) {
    if (c == inner.begin) {
      for (; c < inner.end; c += 32) {
        high[0] = _mm512_max_ps(high[0], _mm512_loadu_ps(scores + c));
        high[1] = _mm512_max_ps(high[1], _mm512_loadu_ps(scores + c + 16));
      }
      if (c >= columns.end) break;
    }
    for (int64_t half = 0; half < 2; ++half) {
      const int64_t column = c + 16 * half;
      high[half] = _mm512_max_ps(
          high[half], _mm512_mask_loadu_ps(none, lanes_inside(column, columns), scores + column));
    }
  }
  return _mm512_reduce_max_ps(_mm512_max_ps(high[0], high[1]));
}

/// weights[c] = 2^(scale * scores[c] - max) for the visible columns and 0 for the rest of `all`
/// (multiples of 32); returns the sum.
float exponentiate(const float* scores, uint16_t* weights, Range all, Range columns, float scale,
                   float max) {
  const __m512 factor = _mm512_set1_ps(scale);
  const __m512 shift = _mm512_set1_ps(max);
  __m512 sum[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
  const Range inner = unmasked(columns);
  for (int64_t c = all.begin; c < all.end; c += 32) {
    if (c == inner.begin) {
      for (; c < inner.end; c += 32) {
        const __m512 low = exp2_of(_mm512_fmsub_ps(_mm512_loadu_ps(scores + c), factor, shift));
        const __m512 high =
            exp2_of(_mm512_fmsub_ps(_mm512_loadu_ps(scores + c + 16), factor, shift));
        sum[0] = _mm512_add_ps(sum[0], low);
        sum[1] = _mm512_add_ps(sum[1], high);
        _mm512_storeu_si512(weights + c, to_bf16(low, high));
      }
      if (c >= all.end) break;
    }
    __m512 value[2];
    for (int64_t half = 0; half < 2; ++half) {
      const __mmask16 visible = lanes_inside(c + 16 * half, columns);
      const __m512 score = _mm512_maskz_loadu_ps(visible, scores + c + 16 * half);
      value[half] = _mm512_maskz_mov_ps(visible, exp2_of(_mm512_fmsub_ps(score, factor, shift)));
      sum[half] = _mm512_add_ps(sum[half], value[half]);
    }
    _mm512_storeu_si512(weights + c, to_bf16(value[0], value[1]));
  }
  return _mm512_reduce_add_ps(_mm512_add_ps(sum[0], sum[1]));
}

/// P of one row, and its running maximum and sum. O is rescaled only when the maximum grew.
void soften_row(const Block& block, int64_t row, Range keys, Range all) {
  uint16_t* weights = block.weights + row * kWeightStride;
  const Range seen = row < block.task.rows ? block.seen(row, row, keys) : Range{0, 0};
  if (seen.empty()) {
    for (int64_t c = all.begin; c < all.end; c += 32) {
      _mm512_storeu_si512(weights + c, _mm512_setzero_si512());
    }
    return;
  }
  const Range columns{seen.begin - keys.begin, seen.end - keys.begin};
  const float* scores = block.scores + row * kScoreStride;
  const float scale = block.geometry.scale * kLog2E;
  const float old_max = block.row_max[row];
  const float block_max = scale * maximum(scores, columns);
  if (block_max > old_max) {
    const float shrink = __builtin_exp2f(old_max - block_max);
    block.row_max[row] = block_max;
    block.row_sum[row] *= shrink;
    float* out = block.out + row * block.geometry.head_dim;
    for (int64_t d = 0; d < block.geometry.head_dim; d += 16) {
      const __m512 value = _mm512_loadu_ps(out + d);
      _mm512_storeu_ps(out + d, _mm512_mul_ps(value, _mm512_set1_ps(shrink)));
    }
  }
  block.row_sum[row] += exponentiate(scores, weights, all, columns, scale, block.row_max[row]);
}

/// O += P V; the inner dimension of each tile is cut to the keys its rows see.
void add_values(const Block& block, Range keys, const Range (&seen)[kTiles], int64_t tiles) {
  const int64_t head_dim = block.geometry.head_dim;
  const int64_t total_pairs = padded_rows(block.geometry.keys) / 2;
  for (int64_t column = 0; column < head_dim; column += kPanelColumns) {
    const int64_t width = panel_width(head_dim, column);
    for (int64_t tile = 0; tile < tiles; ++tile) {
      if (seen[tile].empty()) continue;
      const int64_t pair = (seen[tile].begin - keys.begin) / 2;
      const int64_t pairs = (seen[tile].end - keys.begin + 1) / 2 - pair;
      const uint32_t* values =
          block.task.v_pairs + column * total_pairs + (keys.begin / 2 + pair) * width;
      const LeftOperand weights{reinterpret_cast<const uint32_t*>(block.weights), kWeightStride / 2,
                                1};
      add_product(weights.at(tile * kTileRows, pair), values, pairs, width,
                  block.out + tile * kTileRows * head_dim + column, head_dim);
    }
  }
}

void store(const Block& block) {
  const int64_t head_dim = block.geometry.head_dim;
  for (int64_t row = 0; row < block.task.rows; ++row) {
    const int64_t query = block.task.first_row + row;
    const float sum = block.row_sum[row];
    block.task.log_sum_exp[query] = block.row_max[row] * kLn2 + __builtin_logf(sum);
    const __m512 factor = _mm512_set1_ps(1.0f / sum);
    uint16_t* to = block.task.out.data + query * block.task.out.stride;
    for (int64_t d = 0; d < head_dim; d += 16) {
      const __m512 value = _mm512_loadu_ps(block.out + row * head_dim + d);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + d),
                          to_bf16(_mm512_mul_ps(value, factor)));
    }
  }
}

}  // namespace

size_t forward_scratch_bytes(int64_t head_dim) {
  const int64_t floats = head_dim + kScoreStride + 2;
  return kForwardRows * (floats * sizeof(float) + (kWeightStride + head_dim) * sizeof(uint16_t));
}

void forward_task(const Geometry& geometry, const ForwardTask& task, void* scratch) {
  const Block block(geometry, task, scratch);
  const int64_t tiles = tiles_of(task.rows);
  copy_rows(task.q, task.first_row, task.rows, geometry.head_dim, block.q);
  set_zero(block.out, tiles * kTileRows * geometry.head_dim);
  for (int64_t row = 0; row < task.rows; ++row) {
    block.row_max[row] = -__builtin_inff();
    block.row_sum[row] = 0;
  }
  const Range all_keys = block.seen(0, task.rows - 1, {0, geometry.keys});
  for (int64_t key = round_down(all_keys.begin, kPanelColumns); key < all_keys.end;
       key += kKeyBlock) {
    const Range keys{key, min_of(key + kKeyBlock, all_keys.end)};
    Range seen[kTiles];
    for (int64_t tile = 0; tile < tiles; ++tile) {
      const int64_t first = tile * kTileRows;
      seen[tile] = block.seen(first, min_of(first + kTileRows, task.rows) - 1, keys);
    }
    compute_scores(block, keys, seen, tiles);
    for (int64_t row = 0; row < tiles * kTileRows; ++row) {
      const Range tile = seen[row / kTileRows];
      if (tile.empty()) continue;
      soften_row(block, row, keys,
                 {round_down(tile.begin - key, 32), round_up(tile.end - key, 32)});
    }
    add_values(block, keys, seen, tiles);
  }
  store(block);
}

}  // namespace longspan::bf16
