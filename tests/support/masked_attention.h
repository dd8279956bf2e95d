#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/softmax.h>

#include <cmath>
#include <limits>

namespace longspan {

/// Attention by its definition, to compare with: q [B, H, Tq, D], k and v [B, Hkv, Tk, D],
/// visible [B, H, Tq, Tk] bool. Computed in the dtype given; differentiable.
inline at::Tensor masked_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                   const at::Tensor& visible) {
  int64_t repeats = q.size(1) / k.size(1);
  at::Tensor keys = k.repeat_interleave(repeats, 1), values = v.repeat_interleave(repeats, 1);
  at::Tensor scores = at::matmul(q, keys.transpose(2, 3)) / std::sqrt(double(q.size(3)));
  scores = scores.masked_fill(visible.logical_not(), -std::numeric_limits<double>::infinity());
  return at::matmul(at::softmax(scores, -1), values);
}

}  // namespace longspan
