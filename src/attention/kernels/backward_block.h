#pragma once

#include "src/attention/kernels/flash_kernels.h"
#include "src/simd/gemm_tile.h"

// The state of the backward: the scratch memory of a task, and one block of it.

namespace longspan::flash {
namespace {

using namespace simd;

template <class K>
constexpr int64_t kBackwardTiles = K::kBackwardRows / kTileRows;
template <class K>
constexpr int64_t kMaxKeyTiles = (K::backward_keys(16) + kTileRows - 1) / kTileRows;

/// The scratch memory of one task. In float32, P takes the place of S and dS that of dP. In bf16 S
/// and dP are those of the tile in work, which the L1 cache holds.
template <class K>
struct BackwardScratch {
  static constexpr int64_t kRows = K::kBackwardRows;
  static constexpr int64_t kScoreRows = K::kPair == 1 ? kRows : kTileRows;
  static_assert(kRows % kTileRows == 0);

  int64_t score_stride;        // floats, of scores and grad_weights
  int64_t pair_stride;         // dwords, of weight_pairs and grad_score_pairs
  int64_t row_stride;          // dwords, of grad_scores
  float* grad_k;               // [key_block, head_dim], without the scale
  float* grad_v;               // [key_block, head_dim]
  float* scores;               // [kScoreRows, score_stride]
  float* grad_weights;         // [kScoreRows, score_stride], dP
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
    grad_weights = scores + kScoreRows * score_stride;
    auto* rest = reinterpret_cast<uint32_t*>(grad_weights + kScoreRows * score_stride);
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
    int64_t dwords = 2 * key_block * head_dim + 2 * kScoreRows * stride;
    if (K::kPair > 1) {
      dwords += 2 * kRows / K::kPair * stride + kRows * (key_block / K::kPair + 16);
    }
    return 4 * (dwords + 4 * kRows * head_dim / K::kPair + K::kLanes);
  }

  /// Where S and dP of a row of the block begin.
  int64_t score_offset(int64_t row) const { return row % kScoreRows * score_stride; }
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

}  // namespace
}  // namespace longspan::flash
