#pragma once

#include <cstddef>
#include <cstdint>

namespace longspan::flash {

// Flash attention on one processor core: plain pointers in, no tensors, no threads. flash_forward
// and flash_backward cut the work into these tasks and hand them to the threads.
//
// One source (forward_kernel.h, backward_kernel.h, pack_kernel.h) is built for each processor and
// tensor type, as flash_avx512_bf16.cpp, flash_avx512.cpp and flash_avx2.cpp say.
//
// Packed operands are arrays of dwords: each is one float32, or two bf16 which vdpbf16ps multiplies
// at once. With `pair` elements a dword (1 or 2) and w columns a panel, the layouts of a matrix
// [rows, head_dim], whose rows are padded with zeros to padded_rows(rows), are
//   panels  [padded / w][head_dim / pair][w]   dword (p, n) = columns pair * p .. of row n
//   pairs   [head_dim / w][padded / pair][w]   dword (p, n) = column n of rows pair * p ..
// A last panel of `pairs` is as narrow as the columns that are left. Both take
// padded_rows(rows) * head_dim / pair dwords.

constexpr int64_t kRowUnit = 64;  // a multiple of every panel's width
constexpr int64_t kMaxHeadDim = 256;

// Functions of this header are static: the linker must not share those of a file built for AVX-512
// with the others.
static constexpr int64_t padded_rows(int64_t rows) {
  return (rows + kRowUnit - 1) / kRowUnit * kRowUnit;
}

/// Rows of one head, in the tensor's type; each row is contiguous, `stride` elements after the one
/// before.
struct Rows {
  const void* data;
  int64_t stride;
};
struct MutableRows {
  void* data;
  int64_t stride;
};

/// Query i stands at key position keys - queries + i, where intervals end with it.
struct Geometry {
  int64_t queries;
  int64_t keys;
  int64_t head_dim;  // a multiple of 16, at most kMaxHeadDim
  float scale;
};

/// The keys that the queries of one head see: query i the interval [key_begin[i], key_end[i]),
/// which may be empty, and, when there are sinks, [sink_begin[i], sink_end[i]) before it. None of
/// the four decreases.
struct Visible {
  const int32_t* key_begin;  // [queries]
  const int32_t* key_end;    // [queries], or null: each interval ends with its query's own position
  const int32_t* sink_begin;  // [queries], or null
  const int32_t* sink_end;    // [queries], or null
};

/// Half-open range of keys or rows.
struct Range {
  int64_t begin;
  int64_t end;
};
static inline bool is_empty(Range range) { return range.begin >= range.end; }

/// The keys from the begin of the first row's interval (or sinks) to the end of the last row's,
/// both rows included: those that the rows between see are among them.
static inline Range keys_seen(const Geometry& geometry, const Visible& visible, bool sinks,
                              int64_t first_row, int64_t last_row) {
  if (sinks) return {visible.sink_begin[first_row], visible.sink_end[last_row]};
  const int64_t end =
      visible.key_end ? visible.key_end[last_row] : geometry.keys - geometry.queries + last_row + 1;
  return {visible.key_begin[first_row], end};
}

/// Query rows of one task of the forward.
constexpr int64_t kForwardRows = 96;

/// Attention of the query rows [first_row, first_row + rows) of one head, rows <= kForwardRows.
struct ForwardTask {
  Rows q;
  const uint32_t* k_panels;
  const uint32_t* v_pairs;
  Visible visible;
  MutableRows out;
  float* log_sum_exp;  // [queries], natural logarithm
  int64_t first_row;
  int64_t rows;
};

/// Keys, and query heads of one key/value head, of one task of the forward of a single row.
constexpr int64_t kRowKeys = 512;
constexpr int64_t kRowHeads = 4;

/// Of one head: sum over the keys of 2^(score - largest) * v [head_dim], the largest score (to the
/// base 2), the sum of 2^(score - largest); whole vectors.
static constexpr int64_t row_partial_floats(int64_t head_dim) { return head_dim + 16; }

/// Attention of one query row of each of some heads to the keys [keys.begin, keys.end), 1 to
/// kRowKeys of them.
struct RowTask {
  Rows q;  // a row a head
  Rows k, v;
  Range keys;
  int64_t heads;  // 1 to kRowHeads
  int64_t head_dim;
  float scale;
  float* partial;  // [heads, row_partial_floats(head_dim)]
};

/// One query head in the backward of its key/value head.
struct BackwardHead {
  Rows q;
  Rows grad_out;
  const float* log_sum_exp;  // [queries]
  const float* delta;        // [queries], the row sums of grad_out * out
  Visible visible;
};

/// Rows that dQ buffers are longer than their range, because tiles are whole.
constexpr int64_t kGradQueryPadding = 6;

/// Where a task adds its share of one head's dQ / scale: fp32 [row_end - row_begin +
/// kGradQueryPadding, head_dim], zeroed by the task. row_begin is even.
struct GradQuery {
  float* data;
  int64_t row_begin;
  int64_t row_end;
};

/// Gradients from the keys [key_begin, key_end) of one key/value head; key_begin is a multiple of
/// backward_key_block. dK and dV of these keys are final, dQ is a share.
struct BackwardTask {
  const uint32_t* k_panels;
  const uint32_t* v_panels;
  const uint32_t* k_pairs;
  const BackwardHead* heads;
  const GradQuery* grad_q;  // one a head
  int64_t num_heads;
  int64_t key_begin;
  int64_t key_end;
  MutableRows grad_k;
  MutableRows grad_v;
};

/// Rows whose interval (or, with `sinks`, whose sinks) holds a key of `keys`. The begin is even.
Range rows_seeing(const Geometry& geometry, const Visible& visible, bool sinks, Range keys);

/// The kernel of one processor and one tensor type.
struct Kernels {
  int64_t pair;  // elements of the inner dimension of a product in one dword

  /// Packs rows [begin, end) of `rows` rows; begin and end are multiples of kRowUnit, end may pass
  /// `rows`.
  void (*pack_panels)(Rows from, int64_t rows, int64_t head_dim, int64_t begin, int64_t end,
                      uint32_t* panels);
  void (*pack_pairs)(Rows from, int64_t rows, int64_t head_dim, int64_t begin, int64_t end,
                     uint32_t* pairs);

  size_t (*forward_scratch_bytes)(int64_t head_dim);
  void (*forward_task)(const Geometry& geometry, const ForwardTask& task, void* scratch);

  void (*row_task)(const RowTask& task);

  int64_t (*backward_key_block)(int64_t head_dim);  // a multiple of kRowUnit
  size_t (*backward_scratch_bytes)(int64_t head_dim);
  void (*backward_task)(const Geometry& geometry, const BackwardTask& task, void* scratch);

  /// delta[i] = sum of a[i] * b[i], for the rows [begin, end).
  void (*row_dot_products)(Rows a, Rows b, int64_t head_dim, int64_t begin, int64_t end,
                           float* delta);
  /// to[i] = scale * the sum over the parts, in their order, of their row i; rows [begin, end). The
  /// parts are parts[0], parts[part_stride], ...
  void (*sum_grad_query)(const GradQuery* parts, int64_t part_stride, int64_t num_parts,
                         int64_t head_dim, float scale, int64_t begin, int64_t end, MutableRows to);
};

// By processor, and by the type of the tensors.
extern const Kernels kAvx512Bf16;         // products of bf16
extern const Kernels kAvx512Float;        // products of float32
extern const Kernels kAvx512FloatOfBf16;  // products of float32, tensors of bf16
extern const Kernels kAvx2Float;
extern const Kernels kAvx2FloatOfBf16;

}  // namespace longspan::flash
