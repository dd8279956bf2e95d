#pragma once

#include "src/attention/kernels/flash_kernels.h"
#include "src/simd/gemm_tile.h"

// Kernels::pack_panels and pack_pairs, and the operands that are kept as rows.

namespace longspan::flash {
namespace {

using namespace simd;

template <class K>
const typename K::Element* row_of(Rows rows, int64_t row) {
  return static_cast<const typename K::Element*>(rows.data) + row * rows.stride;
}
template <class K>
typename K::Element* row_of(MutableRows rows, int64_t row) {
  return static_cast<typename K::Element*>(rows.data) + row * rows.stride;
}

// The rows of one head lie apart, with those of the others between them: the processor's own
// prefetch does not follow them.
constexpr int64_t kRowsAhead = 12;

template <class K>
inline void prefetch_row(Rows rows, int64_t row, int64_t head_dim) {
  constexpr int64_t per_line = 64 / sizeof(typename K::Element);
  const auto* from = row_of<K>(rows, row);
  for (int64_t d = 0; d < head_dim; d += per_line) __builtin_prefetch(from + d);
}

template <class K>
void pack_panels(Rows from, int64_t rows, int64_t head_dim, int64_t begin, int64_t end,
                 uint32_t* panels) {
  constexpr int64_t lanes = K::kLanes, width = kPanelColumns<K>;
  const int64_t pairs = head_dim / K::kPair;
  for (int64_t first = begin; first < end; first += lanes) {
    uint32_t* to = panels + first / width * pairs * width + first % width;
    for (int64_t i = 0; i < lanes; ++i) prefetch_row<K>(from, first + i + kRowsAhead, head_dim);
    for (int64_t pair = 0; pair < pairs; pair += lanes) {
      const int64_t count = min_of(lanes, pairs - pair);
      typename K::Vector block[lanes];
      for (int64_t i = 0; i < lanes; ++i) {
        block[i] = first + i < rows
                       ? K::load_operand(row_of<K>(from, first + i) + K::kPair * pair, count)
                       : K::zero();
      }
      K::transpose(block);
      for (int64_t i = 0; i < count; ++i) K::store_operand(to + (pair + i) * width, block[i]);
    }
  }
}

/// Rows [begin, end) of `rows` rows, into panels of total_pairs dwords a column.
template <class K>
void pack_row_pairs(Rows from, int64_t rows, int64_t head_dim, int64_t begin, int64_t end,
                    int64_t total_pairs, uint32_t* pairs) {
  alignas(64) static const typename K::Element zeros[kMaxHeadDim] = {};
  for (int64_t row = begin; row < end; row += K::kPair) {
    for (int64_t i = 0; i < K::kPair; ++i) prefetch_row<K>(from, row + i + kRowsAhead, head_dim);
    const auto* low = row < rows ? row_of<K>(from, row) : zeros;
    const auto* high = row + 1 < rows ? row_of<K>(from, row + 1) : zeros;
    for (int64_t column = 0; column < head_dim; column += kPanelColumns<K>) {
      const int64_t width = panel_width<K>(head_dim, column);
      uint32_t* to = pairs + column * total_pairs + row / K::kPair * width;
      for (int64_t n = 0; n < width; n += K::kLanes) {
        K::store_operand(to + n, K::load_pair(low + column + n, high + column + n));
      }
    }
  }
}

template <class K>
void pack_pairs(Rows from, int64_t rows, int64_t head_dim, int64_t begin, int64_t end,
                uint32_t* pairs) {
  pack_row_pairs<K>(from, rows, head_dim, begin, end, padded_rows(rows) / K::kPair, pairs);
}

/// Copies rows to contiguous operands [tiles * 6, head_dim]; the rows past `rows` become zero.
template <class K>
void copy_rows(Rows from, int64_t first, int64_t rows, int64_t head_dim, uint32_t* to) {
  constexpr int64_t lanes = K::kLanes;
  const int64_t pairs = head_dim / K::kPair;
  for (int64_t row = 0; row < tiles_of(rows) * kTileRows; ++row) {
    prefetch_row<K>(from, first + row + kRowsAhead, head_dim);
    for (int64_t pair = 0; pair < pairs; pair += lanes) {
      const int64_t count = min_of(lanes, pairs - pair);
      const typename K::Vector operand =
          row < rows ? K::load_operand(row_of<K>(from, first + row) + K::kPair * pair, count)
                     : K::zero();
      // Past the end of a row lies the next one, or padding of one vector.
      K::store_operand(to + row * pairs + pair, operand);
    }
  }
}

template <class K>
void set_zero(float* data, int64_t count) {
  for (int64_t i = 0; i < count; i += K::kLanes) K::store(data + i, K::zero());
}

}  // namespace
}  // namespace longspan::flash
