#include "checkpoints/tensor_diff.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

namespace longspan {

namespace {

constexpr int64_t kBlockElements = int64_t{1} << 21;  // 16 MiB an operand in float64

bool same_bytes(const at::Tensor& a, const at::Tensor& b) {
  return a.scalar_type() == b.scalar_type() && a.is_contiguous() && b.is_contiguous() &&
         std::memcmp(a.const_data_ptr(), b.const_data_ptr(), a.nbytes()) == 0;
}

void compare_values(const at::Tensor& a, const at::Tensor& b, TensorDifference& result) {
  if (a.numel() == 0 || same_bytes(a, b)) return;
  at::Tensor flat_a = a.reshape({-1}), flat_b = b.reshape({-1});
  double difference = 0, norm = 0;  // squared
  for (int64_t at = 0; at < flat_a.numel(); at += kBlockElements) {
    int64_t count = std::min(kBlockElements, flat_a.numel() - at);
    at::Tensor x = flat_a.narrow(0, at, count).to(at::kDouble);
    at::Tensor y = flat_b.narrow(0, at, count).to(at::kDouble);
    at::Tensor error = (x - y).masked_fill(x == y, 0);  // of two infinities too
    result.unequal += (x != y).sum().item<int64_t>();
    double largest = error.abs().max().item<double>();
    if (largest > result.max_abs || std::isnan(largest)) result.max_abs = largest;  // NaN stays
    difference += (error * error).sum().item<double>();
    norm += (x * x).sum().item<double>();
  }
  if (result.unequal > 0) result.relative = std::sqrt(difference / norm);
}

}  // namespace

std::vector<TensorDifference> diff_tensors(const TensorSet& a, const TensorSet& b) {
  at::NoGradGuard no_gradients;
  std::map<std::string, const TensorInfo*> in_b;
  for (const auto& info : b.infos) in_b[info.name] = &info;
  std::vector<TensorDifference> differences;
  for (const auto& info : a.infos) {
    TensorDifference difference{.name = info.name, .a = &info};
    if (auto found = in_b.find(info.name); found != in_b.end()) {
      difference.b = found->second;
      in_b.erase(found);
    }
    if (difference.same_shape()) {
      compare_values(a.tensor(info.name), b.tensor(info.name), difference);
    }
    differences.push_back(std::move(difference));
  }
  for (const auto& info : b.infos) {
    if (in_b.contains(info.name)) differences.push_back({.name = info.name, .b = &info});
  }
  return differences;
}

}  // namespace longspan
