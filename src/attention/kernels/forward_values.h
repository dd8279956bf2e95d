#pragma once

#include "src/attention/kernels/forward_block.h"

// O = P V of a tile: added up over blocks of keys in float32, or, where there is one block, divided
// and stored at once.

namespace longspan::flash {
namespace {

using namespace simd;

/// P and V of a tile, from the first key that its rows see.
struct ValueProduct {
  const uint32_t* weights;  // rows kWeightStride apart
  int64_t pairs;
  int64_t first_pair;  // among all keys
};

template <class K>
ValueProduct value_product(const QueryTile<K>& tile) {
  const Range seen = tile.seen;
  if (is_empty(seen)) return {tile.block.weights, 0, 0};
  const int64_t pair = (seen.begin - tile.keys.begin) / K::kPair;
  const int64_t end = (seen.end - tile.keys.begin + K::kPair - 1) / K::kPair;
  return {tile.block.weights + pair, end - pair, tile.keys.begin / K::kPair + pair};
}

/// Calls work(column, width, V) for each panel of columns.
template <class K, class Work>
void each_value_panel(const ForwardBlock<K>& block, int64_t first_pair, const Work& work) {
  const int64_t head_dim = block.geometry.head_dim;
  const int64_t total_pairs = padded_rows(block.geometry.keys) / K::kPair;
  for (int64_t column = 0; column < head_dim; column += kPanelColumns<K>) {
    const int64_t width = panel_width<K>(head_dim, column);
    work(column, width, block.task.v_pairs + column * total_pairs + first_pair * width);
  }
}

/// O += P V.
template <class K>
void add_values(const QueryTile<K>& tile) {
  const ForwardBlock<K>& block = tile.block;
  const int64_t head_dim = block.geometry.head_dim;
  const ValueProduct product = value_product(tile);
  if (product.pairs == 0) return;
  float* out = block.out + tile.first_row * head_dim;
  each_value_panel(block, product.first_pair,
                   [&](int64_t column, int64_t width, const uint32_t* values) {
                     add_product<K>({product.weights, kWeightStride<K>, 1}, values, product.pairs,
                                    width, out + column, head_dim);
                   });
}

/// 1 / sum, and 0 where nothing is seen.
inline float inverse_of(float sum) { return sum == 0 ? 0.0f : 1.0f / sum; }

/// The first rows of `to` = P V / sum, for kVectors of its columns.
template <class K, int kVectors>
[[gnu::noinline]] void store_tile(const ValueProduct& product, const uint32_t* values,
                                  const float* row_sum, typename K::Element* to, int64_t stride,
                                  int64_t rows) {
  typename K::Vector sum[kTileRows][kVectors];
#pragma GCC unroll 6
  for (int m = 0; m < kTileRows; ++m) {
#pragma GCC unroll 4
    for (int n = 0; n < kVectors; ++n) sum[m][n] = K::zero();
  }
  add_products<K, kVectors>({product.weights, kWeightStride<K>, 1}, values, product.pairs, sum);
#pragma GCC unroll 6
  for (int m = 0; m < kTileRows; ++m) {
    if (m >= rows) return;
    const typename K::Vector inverse = K::all(inverse_of(row_sum[m]));
#pragma GCC unroll 4
    for (int n = 0; n < kVectors; ++n) {
      K::store(to + m * stride + K::kLanes * n, K::multiply(sum[m][n], inverse));
    }
  }
}

/// The same for a panel of `width` columns.
template <class K>
void store_panel(const ValueProduct& product, const uint32_t* values, int64_t width,
                 const float* row_sum, typename K::Element* to, int64_t stride, int64_t rows) {
  const int64_t vectors = width / K::kLanes;
  if constexpr (K::kTileVectors == 4) {
    if (vectors == 1) return store_tile<K, 1>(product, values, row_sum, to, stride, rows);
    if (vectors == 2) return store_tile<K, 2>(product, values, row_sum, to, stride, rows);
    if (vectors == 3) return store_tile<K, 3>(product, values, row_sum, to, stride, rows);
  }
  store_tile<K, K::kTileVectors>(product, values, row_sum, to, stride, rows);
}

/// The output of rows that see no keys but those of this block.
template <class K>
void store_values(const QueryTile<K>& tile) {
  const ForwardTask& task = tile.block.task;
  const ValueProduct product = value_product(tile);
  typename K::Element* out = row_of<K>(task.out, task.first_row + tile.first_row);
  each_value_panel(
      tile.block, product.first_pair, [&](int64_t column, int64_t width, const uint32_t* values) {
        store_panel<K>(product, values, width, tile.block.row_sum + tile.first_row, out + column,
                       task.out.stride, tile.last_row + 1 - tile.first_row);
      });
}

/// The output of a tile whose O is complete.
template <class K>
void store_rows(const QueryTile<K>& tile) {
  const ForwardBlock<K>& block = tile.block;
  const int64_t head_dim = block.geometry.head_dim;
  for (int64_t row = tile.first_row; row <= tile.last_row; ++row) {
    const typename K::Vector inverse = K::all(inverse_of(block.row_sum[row]));
    typename K::Element* to = row_of<K>(block.task.out, block.task.first_row + row);
    for (int64_t d = 0; d < head_dim; d += K::kLanes) {
      K::store(to + d, K::multiply(K::load(block.out + row * head_dim + d), inverse));
    }
  }
}

}  // namespace
}  // namespace longspan::flash
