#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/CPUAllocator.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "src/attention/kernels/flash_kernels.h"
#include "src/attention/kernels/interval_attention.h"

// How flash_forward.cpp and flash_backward.cpp see tensors, processors and threads.

namespace longspan::flash {

/// The kernel for tensors like q [B, H, T, D] on this processor; null when there is none.
const Kernels* kernels_for(const at::Tensor& q);
/// The same; c10::Error when there is none.
const Kernels& needed_kernels_for(const at::Tensor& q);

/// Rows [T, D] of batch b and head h of a [B, H, T, D] tensor.
inline Rows rows_of(const at::Tensor& x, int64_t b, int64_t h) {
  const auto* data = static_cast<const char*>(x.const_data_ptr());
  return {data + (b * x.stride(0) + h * x.stride(1)) * x.element_size(), x.stride(2)};
}
inline MutableRows mutable_rows_of(const at::Tensor& x, int64_t b, int64_t h) {
  auto* data = static_cast<char*>(x.mutable_data_ptr());
  return {data + (b * x.stride(0) + h * x.stride(1)) * x.element_size(), x.stride(2)};
}

/// The keys that query head b * H + h sees.
inline Visible visible_of(const VisibleKeys& keys, int64_t head) {
  const int64_t row = head * keys.begin.size(2);
  const auto from = [row](const at::Tensor& x) {
    return x.defined() ? x.const_data_ptr<int32_t>() + row : nullptr;
  };
  const int32_t* sinks = from(keys.sinks);
  return {from(keys.begin), from(keys.end), sinks, sinks ? sinks + keys.begin.numel() : nullptr};
}

inline Geometry geometry_of(const at::Tensor& q, const at::Tensor& k) {
  return {q.size(2), k.size(2), q.size(3),
          static_cast<float>(1.0 / std::sqrt(static_cast<double>(q.size(3))))};
}

inline int64_t packed_dwords(const Kernels& kernels, int64_t rows, int64_t head_dim) {
  return padded_rows(rows) * head_dim / kernels.pair;
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
  return std::min(begin + kPackRows, padded_rows(rows));
}

}  // namespace longspan::flash
