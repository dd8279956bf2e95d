#include "src/nn/row_product.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <cmath>

#include "src/nn/kernels/elementwise.h"
#include "tests/support/largest.h"
#include "tests/support/processors.h"

namespace longspan {
namespace {

/// x W^T + bias in float64.
at::Tensor exact_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const auto wide = [](const at::Tensor& t) { return t.defined() ? t.to(at::kDouble) : t; };
  return at::linear(wide(x), wide(weight), wide(bias));
}

class RowProductOn : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const std::string why_not = beyond_this_processor(GetParam());
    if (!why_not.empty()) GTEST_SKIP() << why_not;
    forced_.emplace(GetParam());
  }

  std::optional<ForcedProcessor> forced_;
};

TEST_P(RowProductOn, RoundsTheSumOfARowOnce) {
  at::manual_seed(5);
  const at::NoGradGuard no_gradients;
  for (const at::ScalarType dtype : {at::kBFloat16, at::kFloat}) {
    for (const auto& [inner, outputs] : {std::pair{32, 1}, {96, 7}, {576, 192}, {1536, 577}}) {
      const at::Tensor x = at::randn({1, 1, inner}).to(dtype);
      const at::Tensor weight = at::randn({outputs, inner}).to(dtype);
      const at::Tensor bias = outputs == 7 ? at::randn({outputs}).to(dtype) : at::Tensor();
      const at::Tensor expected = exact_linear(x, weight, bias);
      const at::Tensor actual = apply_linear(x, weight, bias);
      EXPECT_EQ(actual.sizes(), expected.sizes());
      EXPECT_EQ(actual.scalar_type(), dtype);
      // A rounding of the result, one of the sum before the bias, and those of a float32 sum.
      const double unit = dtype == at::kFloat ? 0x1p-24 : 0x1p-8;
      const double sums = 0x1p-24 * std::sqrt(static_cast<double>(inner)) * 8 * std::sqrt(inner);
      EXPECT_LT(largest_difference(actual, expected), 2 * unit * largest(expected) + sums)
          << dtype << " " << inner << " " << outputs;
    }
  }
}

TEST_P(RowProductOn, LeavesTheRestToLibTorch) {
  at::manual_seed(5);
  const at::Tensor weight = at::randn({64, 96});
  {
    const at::NoGradGuard no_gradients;
    const at::Tensor rows = at::randn({2, 96}), odd = at::randn({1, 50});
    EXPECT_TRUE(apply_linear(rows, weight).equal(at::linear(rows, weight)));
    EXPECT_TRUE(
        apply_linear(odd, weight.narrow(1, 3, 50)).equal(at::linear(odd, weight.narrow(1, 3, 50))));
  }
  const at::Tensor trained = weight.clone().requires_grad_(true), x = at::randn({1, 96});
  apply_linear(x, trained).sum().backward();
  EXPECT_TRUE(trained.grad().equal(x.expand({64, 96})));
}

INSTANTIATE_TEST_SUITE_P(Processors, RowProductOn,
                         testing::Values("avx512_bf16", "avx512", "avx2", "none"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace longspan
