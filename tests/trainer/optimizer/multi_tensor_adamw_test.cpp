#include "trainer/optimizer/multi_tensor_adamw.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/devices.h"
#include "tests/support/largest.h"

namespace longspan {
namespace {

/// Weights of several shapes with gradients in `dtype`, of which one is its own master.
std::vector<AdamWOperands> drawn_weights(at::ScalarType dtype, at::Device device) {
  at::manual_seed(11);
  std::vector<AdamWOperands> weights;
  for (const std::vector<int64_t>& sizes :
       std::vector<std::vector<int64_t>>{{7, 33}, {64}, {5, 1000}, {1}}) {
    const at::Tensor master = at::randn(sizes).to(device);
    const bool own = sizes.size() == 1;
    weights.push_back({at::randn(sizes).to(device, dtype), zero_moments(master, 32), master,
                       own ? master : master.to(at::kBFloat16)});
  }
  return weights;
}

/// Algorithm 2 of Loshchilov & Hutter 2019 (arXiv 1711.05101), in float64.
at::Tensor updated(at::Tensor weight, const std::vector<at::Tensor>& gradients, AdamWStep step) {
  at::Tensor m = weight.to(at::kDouble) * 0, v = m.clone();
  weight = weight.to(at::kDouble);
  for (size_t t = 1; t <= gradients.size(); ++t) {
    const at::Tensor g = gradients[t - 1].to(at::kDouble) * step.gradient_scale;
    m = step.beta1 * m + (1 - step.beta1) * g;
    v = step.beta2 * v + (1 - step.beta2) * g * g;
    const auto count = static_cast<double>(t);
    const at::Tensor mean = m / (1 - std::pow(step.beta1, count));
    const at::Tensor square = v / (1 - std::pow(step.beta2, count));
    weight = weight - step.lr * (mean / (square.sqrt() + step.eps) + step.weight_decay * weight);
  }
  return weight;
}

class MultiTensorAdamW : public testing::TestWithParam<at::DeviceType> {
 protected:
  void SetUp() override {
    if (GetParam() == at::kCPU) return;
    if (auto reason = why_not_on_cuda(); !reason.empty()) GTEST_SKIP() << reason;
  }
};

TEST_P(MultiTensorAdamW, UpdatesAsItsDefinition) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    std::vector<AdamWOperands> weights = drawn_weights(dtype, GetParam());
    std::vector<at::Tensor> starts;
    for (const auto& weight : weights) starts.push_back(weight.master.cpu().clone());
    AdamWStep step{.lr = 1e-2,
                   .beta1 = 0.9,
                   .beta2 = 0.95,
                   .eps = 1e-8,
                   .weight_decay = 0.1,
                   .gradient_scale = 0.25};
    std::vector<std::vector<at::Tensor>> gradients(weights.size());
    for (step.step = 1; step.step <= 3; ++step.step) {
      for (size_t i = 0; i < weights.size(); ++i) {
        weights[i].gradient = weights[i].gradient * 0.5;
        gradients[i].push_back(weights[i].gradient.cpu());
      }
      multi_tensor_adamw(step, weights);
    }
    for (size_t i = 0; i < weights.size(); ++i) {
      const at::Tensor expected = updated(starts[i], gradients[i], step);
      EXPECT_LE(largest(weights[i].master.cpu() - expected), 1e-6) << i;
      EXPECT_TRUE(at::equal(weights[i].parameter,
                            weights[i].master.to(weights[i].parameter.scalar_type())));
    }
  }
}

TEST_P(MultiTensorAdamW, SumsTheSquaresOfAll) {
  std::vector<at::Tensor> gradients;
  double expected = 0;
  for (const AdamWOperands& weight : drawn_weights(at::kBFloat16, GetParam())) {
    gradients.push_back(weight.gradient);
    expected += weight.gradient.cpu().to(at::kDouble).square().sum().item<double>();
  }
  // Norms of up to 5,000 elements in float32, squared.
  EXPECT_NEAR(multi_tensor_sum_of_squares(gradients) / expected, 1, 1e-5);
  EXPECT_EQ(multi_tensor_sum_of_squares({}), 0);
}

TEST_P(MultiTensorAdamW, OfNothingDoesNothing) { multi_tensor_adamw({}, {}); }

INSTANTIATE_TEST_SUITE_P(, MultiTensorAdamW, testing::Values(at::kCPU, at::kCUDA),
                         [](const auto& info) { return info.param == at::kCPU ? "Cpu" : "Cuda"; });

}  // namespace
}  // namespace longspan
