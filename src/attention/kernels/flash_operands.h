#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/CPUAllocator.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "src/attention/kernels/causal_attention_bf16.h"

// How flash_forward.cpp and flash_backward.cpp see tensors and threads.

namespace longspan::flash {

/// Rows [T, D] of batch b and head h of a [B, H, T, D] tensor.
inline bf16::Rows rows_of(const at::Tensor& x, int64_t b, int64_t h) {
  const auto* data = static_cast<const uint16_t*>(x.const_data_ptr());
  return {data + b * x.stride(0) + h * x.stride(1), x.stride(2)};
}
inline bf16::MutableRows mutable_rows_of(const at::Tensor& x, int64_t b, int64_t h) {
  auto* data = static_cast<uint16_t*>(x.data_ptr());
  return {data + b * x.stride(0) + h * x.stride(1), x.stride(2)};
}

inline bf16::Geometry geometry_of(const at::Tensor& q, const at::Tensor& k) {
  return {q.size(2), k.size(2), q.size(3),
          static_cast<float>(1.0 / std::sqrt(static_cast<double>(q.size(3))))};
}

/// The key/value heads of the whole batch, in waves that share one workspace of at most
/// `budget_bytes` (or one head), all waves about as long.
struct Waves {
  int64_t heads;
  int64_t heads_per_wave;

  Waves(int64_t total, int64_t bytes_per_head, int64_t budget_bytes) : heads(total) {
    const int64_t most = std::max<int64_t>(1, budget_bytes / std::max<int64_t>(1, bytes_per_head));
    const int64_t waves = (total + most - 1) / most;
    heads_per_wave = (total + waves - 1) / waves;
  }
};

template <typename T>
T* as(const c10::DataPtr& memory) {
  return static_cast<T*>(memory.get());
}

/// Runs task(i, scratch) for i = 0 .. count - 1, in this order but on all threads; each thread has
/// scratch memory of its own. Which thread runs a task must not change what the task computes.
void run_tasks(int64_t count, size_t scratch_bytes,
               const std::function<void(int64_t task, void* scratch)>& task);

/// Rows that one packing task takes.
constexpr int64_t kPackRows = 1024;

inline int64_t pack_chunks(int64_t rows) { return (rows + kPackRows - 1) / kPackRows; }

/// The end of a packing task, which may lie in the padding of the last 64 rows.
inline int64_t pack_end(int64_t begin, int64_t rows) {
  return std::min(begin + kPackRows, bf16::padded_rows(rows));
}

}  // namespace longspan::flash
