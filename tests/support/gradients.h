#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/norm.h>

#include <functional>
#include <vector>

namespace longspan {

/// A function's value and the gradients of its inputs for one given gradient of the value.
struct ValueAndGradients {
  at::Tensor value;
  std::vector<at::Tensor> gradients;
};

inline ValueAndGradients value_and_gradients(
    const std::function<at::Tensor(const std::vector<at::Tensor>&)>& function,
    const std::vector<at::Tensor>& inputs, const at::Tensor& gradient, at::ScalarType dtype) {
  std::vector<at::Tensor> leaves;
  for (const at::Tensor& input : inputs) {
    leaves.push_back(input.to(dtype).detach().clone().requires_grad_(true));
  }
  at::AutoGradMode with_gradients(true);
  at::Tensor value = function(leaves);
  value.backward(gradient.to(dtype));
  ValueAndGradients result{value.detach(), {}};
  for (const at::Tensor& leaf : leaves) result.gradients.push_back(leaf.grad());
  return result;
}

/// |actual - expected| / |expected| in the Euclidean norm.
inline double relative_error(const at::Tensor& actual, const at::Tensor& expected) {
  at::Tensor exact = expected.to(at::kCPU, at::kDouble);
  at::Tensor difference = actual.to(at::kCPU, at::kDouble) - exact;
  return difference.norm().item<double>() / exact.norm().item<double>();
}

}  // namespace longspan
