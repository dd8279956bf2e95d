#include "src/nn/recompute.h"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

namespace longspan {
namespace {

TEST(Recompute, GivesTheSameGradientsAndRunsTheLayerTwice) {
  at::manual_seed(5);
  at::Tensor weight = at::randn({6, 6}).requires_grad_(true), x = at::randn({4, 6});
  int calls = 0;
  auto layer = [&](const at::Tensor& input) {
    ++calls;
    return at::matmul(input, weight).tanh();
  };
  for (bool input_needs_gradient : {true, false}) {
    at::Tensor kept = x.clone().requires_grad_(input_needs_gradient);
    layer(layer(kept)).sum().backward();
    at::Tensor weight_gradient = weight.grad().clone();
    weight.mutable_grad().reset();

    at::Tensor again = x.clone().requires_grad_(input_needs_gradient);
    calls = 0;
    at::Tensor out = recompute(layer, recompute(layer, again));
    EXPECT_EQ(calls, 2);
    out.sum().backward();
    EXPECT_EQ(calls, 4);
    EXPECT_TRUE(at::equal(weight.grad(), weight_gradient));
    if (input_needs_gradient) {
      EXPECT_TRUE(at::equal(again.grad(), kept.grad()));
    }
    weight.mutable_grad().reset();
  }
}

TEST(Recompute, IsThePlainLayerWithoutGradients) {
  at::NoGradGuard no_gradients;
  at::Tensor x = at::randn({3});
  at::Tensor y = recompute([](const at::Tensor& input) { return input * 2; }, x);
  EXPECT_TRUE(at::equal(y, x * 2));
  EXPECT_FALSE(y.requires_grad());
}

}  // namespace
}  // namespace longspan
