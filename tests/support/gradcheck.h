#pragma once

#include <ATen/Parallel.h>
#include <ATen/ops/randn_like.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/support/gradients.h"

namespace longspan {

/// One thread while it lives: OpenMP's spin at each of many small steps, for minutes in all when
/// compilers want the same processors.
class OneThread {
 public:
  OneThread() { at::set_num_threads(1); }
  ~OneThread() { at::set_num_threads(threads_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int threads_ = at::get_num_threads();
};

/// Expects the gradients of `function` in each element of `inputs`, for a random gradient of its
/// value, to be its central differences in float64. What the function does not differentiate is
/// captured by it and not among the inputs.
inline void expect_gradients_as_by_differences(
    const std::function<at::Tensor(const std::vector<at::Tensor>&)>& function,
    const std::vector<at::Tensor>& inputs) {
  const OneThread one_thread;
  constexpr double kStep = 1e-5, kTolerance = 1e-8;  // the differences are off by about 1e-10
  std::vector<at::Tensor> at_point;
  for (const at::Tensor& x : inputs)
    at_point.push_back(x.detach().to(at::kDouble).clone(at::MemoryFormat::Contiguous));
  const at::Tensor gradient = at::randn_like(function(at_point));
  ASSERT_EQ(gradient.scalar_type(), at::kDouble) << "not computed in float64";
  const ValueAndGradients actual = value_and_gradients(function, at_point, gradient, at::kDouble);
  const at::NoGradGuard no_gradients;
  const auto value = [&] { return (function(at_point) * gradient).sum().item<double>(); };
  for (size_t i = 0; i < at_point.size(); ++i) {
    const at::Tensor elements = at_point[i].view(-1);
    ASSERT_TRUE(actual.gradients[i].defined()) << "input " << i;
    const at::Tensor derivatives = actual.gradients[i].reshape(-1);
    for (int64_t j = 0; j < elements.numel(); ++j) {
      const at::Tensor element = elements[j];
      const double middle = element.item<double>();
      element.fill_(middle + kStep);
      const double above = value();
      element.fill_(middle - kStep);
      const double below = value();
      element.fill_(middle);
      EXPECT_NEAR(derivatives[j].item<double>(), (above - below) / (2 * kStep), kTolerance)
          << "element " << j << " of input " << i;
    }
  }
}

}  // namespace longspan
