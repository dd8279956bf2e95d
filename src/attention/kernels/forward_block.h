#pragma once

#include "src/attention/kernels/forward_softmax.h"
#include "src/attention/kernels/pack_kernel.h"

// The state of the forward: the scratch memory of a task, its blocks of keys, and a tile of its
// rows against one of them.

namespace longspan::flash {
namespace {

using namespace simd;

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
  float* out;         // [kForwardRows, head_dim], not divided yet; where there are several blocks
  float* row_max;     // [kForwardRows]
  float* row_sum;     // [kForwardRows]
  float* scores;      // [kTileRows, kScoreStride], of the tile in work: in the L1 cache
  uint32_t* weights;  // [kTileRows, kWeightStride], P; in float32 in the place of S
  uint32_t* q;        // [kForwardRows, head_dim / kPair], and a vector of padding

  ForwardBlock(const Geometry& g, const ForwardTask& t, void* scratch) : geometry(g), task(t) {
    out = static_cast<float*>(scratch);
    row_max = out + kForwardRows * g.head_dim;
    row_sum = row_max + kForwardRows;
    scores = row_sum + kForwardRows;
    auto* rest = reinterpret_cast<uint32_t*>(scores + kTileRows * kScoreStride<K>);
    weights = K::kPair == 1 ? reinterpret_cast<uint32_t*>(scores) : rest;
    q = K::kPair == 1 ? rest : rest + kTileRows * kWeightStride<K>;
  }
};

template <class K>
size_t forward_scratch_bytes(int64_t head_dim) {
  const int64_t weights = K::kPair == 1 ? 0 : kWeightStride<K>;
  const int64_t row = head_dim + 2 + head_dim / K::kPair;
  return 4 * (kForwardRows * row + kTileRows * (kScoreStride<K> + weights) + K::kLanes);
}

/// Some keys: of the intervals or, after those, of the sinks.
struct KeyBlock {
  Range keys;
  bool sinks;
};

/// The keys that the rows of a task see, in blocks. The first may be empty.
template <class K>
class KeyBlocks {
 public:
  KeyBlocks(const Geometry& geometry, const ForwardTask& task) {
    const auto seen = [&](bool sinks) {
      const Range keys =
          keys_seen(geometry, task.visible, sinks, task.first_row, task.first_row + task.rows - 1);
      return Range{round_down(keys.begin, kPanelColumns<K>), keys.end};
    };
    intervals_ = seen(false);
    if (task.visible.sink_begin) sinks_ = seen(true);
    of_intervals_ = max_of(1, blocks_of(intervals_));
  }

  int64_t count() const { return of_intervals_ + blocks_of(sinks_); }

  KeyBlock at(int64_t index) const {
    const bool of_sinks = index >= of_intervals_;
    const Range all = of_sinks ? sinks_ : intervals_;
    const int64_t key = all.begin + (of_sinks ? index - of_intervals_ : index) * K::kForwardKeys;
    return {{key, min_of(key + K::kForwardKeys, all.end)}, of_sinks};
  }

 private:
  static int64_t blocks_of(Range keys) {
    return max_of(0, keys.end - keys.begin + K::kForwardKeys - 1) / K::kForwardKeys;
  }

  Range intervals_, sinks_ = {0, 0};
  int64_t of_intervals_;
};

/// A tile of six rows against one block of keys.
template <class K>
struct QueryTile {
  const ForwardBlock<K>& block;
  Range keys;
  bool sinks;
  int64_t first_row;  // in the task
  int64_t last_row;
  Range seen;  // keys

  QueryTile(const ForwardBlock<K>& b, const KeyBlock& on, int64_t row)
      : block(b),
        keys(on.keys),
        sinks(on.sinks),
        first_row(row),
        last_row(min_of(row + kTileRows, b.task.rows) - 1),
        seen(keys_of(first_row, last_row)) {}

  /// What rows of the task see of the keys.
  Range keys_of(int64_t first, int64_t last) const {
    const int64_t query = block.task.first_row;
    const Range all =
        keys_seen(block.geometry, block.task.visible, sinks, query + first, query + last);
    return {max_of(all.begin, keys.begin), min_of(all.end, keys.end)};
  }

  /// A row past the last sees what the last sees: nothing reads what becomes of it.
  TileColumns columns() const {
    constexpr int64_t unit = 2 * K::kLanes;
    TileColumns by_row;
    for (int64_t i = 0; i < kTileRows; ++i) {
      const int64_t row = min_of(first_row + i, last_row);
      const Range of_row = keys_of(row, row);
      by_row.rows[i] = {of_row.begin - keys.begin, of_row.end - keys.begin};
    }
    const Range first = by_row.rows[0], last = by_row.rows[kTileRows - 1];
    by_row.all = {round_down(first.begin, unit), round_up(last.end, K::kLanes)};
    by_row.inner = {round_up(last.begin, unit), round_down(first.end, unit)};
    if (is_empty(by_row.inner)) by_row.inner = {by_row.all.begin, by_row.all.begin};
    return by_row;
  }
};

}  // namespace
}  // namespace longspan::flash
