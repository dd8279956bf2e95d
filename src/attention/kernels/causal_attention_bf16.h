#pragma once

#include <cstddef>
#include <cstdint>

namespace longspan::bf16 {

// The bf16 flash attention of one processor core with AVX512-BF16: plain pointers in, no tensors,
// no threads. flash_attention.cpp cuts the work into these tasks and hands them to the threads.
//
// Packed operands are arrays of dwords, each two bf16 values which vdpbf16ps multiplies at once.
// Layouts, for a matrix [rows, head_dim] whose rows are padded with zeros to padded_rows(rows):
//   panels  [padded / 64][head_dim / 2][64]   dword (p, n) = columns 2p, 2p + 1 of row n
//   pairs   [head_dim / 64][padded / 2][64]   dword (p, n) = column n of rows 2p, 2p + 1
// A last panel of `pairs` is as narrow as the columns that are left. Both take
// padded_rows(rows) * head_dim / 2 dwords.

constexpr int64_t kPanelColumns = 64;
constexpr int64_t kMaxHeadDim = 256;

constexpr int64_t padded_rows(int64_t rows) {
  return (rows + kPanelColumns - 1) / kPanelColumns * kPanelColumns;
}
constexpr int64_t packed_dwords(int64_t rows, int64_t head_dim) {
  return padded_rows(rows) * head_dim / 2;
}

/// bf16 rows of one head; each row is contiguous.
struct Rows {
  const uint16_t* data;
  int64_t stride;
};
struct MutableRows {
  uint16_t* data;
  int64_t stride;
};

/// Query i stands at key position keys - queries + i.
struct Geometry {
  int64_t queries;
  int64_t keys;
  int64_t head_dim;  // a multiple of 16, at most kMaxHeadDim
  float scale;
};

/// Packs rows [begin, end) of `rows` rows; begin and end are multiples of 64, end may pass `rows`.
void pack_panels(Rows from, int64_t rows, int64_t head_dim, int64_t begin, int64_t end,
                 uint32_t* panels);
void pack_pairs(Rows from, int64_t rows, int64_t head_dim, int64_t begin, int64_t end,
                uint32_t* pairs);

/// Query rows of one task of the forward.
constexpr int64_t kForwardRows = 96;

/// Attention of the query rows [first_row, first_row + rows) of one head, rows <= kForwardRows.
struct ForwardTask {
  Rows q;
  const uint32_t* k_panels;
  const uint32_t* v_pairs;
  const int32_t* key_start;  // [queries]
  MutableRows out;
  float* log_sum_exp;  // [queries], natural logarithm
  int64_t first_row;
  int64_t rows;
};

size_t forward_scratch_bytes(int64_t head_dim);
void forward_task(const Geometry& geometry, const ForwardTask& task, void* scratch);

/// One query head in the backward of its key/value head.
struct BackwardHead {
  Rows q;
  Rows grad_out;
  const uint32_t* q_pairs;
  const uint32_t* grad_out_pairs;
  const float* log_sum_exp;  // [queries]
  const float* delta;        // [queries], the row sums of grad_out * out
  const int32_t* key_start;  // [queries]
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

int64_t backward_key_block(int64_t head_dim);

/// Rows of one head that see a key of [key_begin, key_end); row_begin is even.
GradQuery rows_seeing(const Geometry& geometry, const int32_t* key_start, int64_t key_begin,
                      int64_t key_end);

size_t backward_scratch_bytes(int64_t head_dim);
void backward_task(const Geometry& geometry, const BackwardTask& task, void* scratch);

/// delta[i] = sum of a[i] * b[i], for the rows [begin, end).
void row_dot_products(Rows a, Rows b, int64_t head_dim, int64_t begin, int64_t end, float* delta);

/// to[i] = scale * the sum over the parts, in their order, of their row i; rows [begin, end). The
/// parts are parts[0], parts[part_stride], ...
void sum_grad_query(const GradQuery* parts, int64_t part_stride, int64_t num_parts,
                    int64_t head_dim, float scale, int64_t begin, int64_t end, MutableRows to);

}  // namespace longspan::bf16
