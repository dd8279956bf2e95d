#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <utility>

namespace longspan {

/// The keys and values of one layer seen so far, rotated; grows by half.
class LayerState {
 public:
  /// k, v [B, Hkv, T, D]: appends them and returns views of all keys and values [B, Hkv, Tk, D].
  std::pair<at::Tensor, at::Tensor> append(const at::Tensor& k, const at::Tensor& v);
  int64_t length() const { return length_; }

 private:
  at::Tensor keys_, values_;  // [B, Hkv, capacity, D]
  int64_t length_ = 0;
};

}  // namespace longspan
