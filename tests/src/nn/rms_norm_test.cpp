#include "src/nn/rms_norm.h"

#include <ATen/Context.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/rms_norm.h>
#include <gtest/gtest.h>

#include "src/core/processor.h"
#include "tests/support/gradients.h"

namespace longspan {
namespace {

constexpr double kEps = 1e-5;

at::Tensor ours(const std::vector<at::Tensor>& x) {
  RmsNorm norm(x[1].size(0), kEps);
  norm.weight = x[1];
  return norm.forward(x[0]);
}
at::Tensor plain(const std::vector<at::Tensor>& x) {
  return at::rms_norm(x[0], x[1].sizes(), x[1], kEps);
}

struct Case {
  at::Tensor x, weight, gradient;
};
Case random_case(int64_t rows, int64_t size) {
  auto draw = [](at::IntArrayRef shape) { return at::randn(shape, at::kFloat).to(at::kBFloat16); };
  return {draw({rows, size}), draw({size}), draw({rows, size})};
}

TEST(RmsNorm, RoundsOnceInBfloat16ForwardAndBackward) {
  if (!has_avx512_bf16()) GTEST_SKIP() << "needs AVX-512 BF16";
  at::manual_seed(3);
  for (int64_t size : {8, 16, 40, 576}) {
    for (int64_t rows : {1, 7, 100}) {
      // 2^-8 at most; 0.0017 in the mean square of many numbers.
      double many = rows * size < 5000 ? 0.0040 : 0.0018, few = size < 500 ? 0.0040 : 0.0022;
      Case c = random_case(rows, size);
      auto exact = value_and_gradients(plain, {c.x, c.weight}, c.gradient, at::kDouble);
      auto actual = value_and_gradients(ours, {c.x, c.weight}, c.gradient, at::kBFloat16);
      EXPECT_LT(relative_error(actual.value, exact.value), many) << rows << " x " << size;
      EXPECT_LT(relative_error(actual.gradients[0], exact.gradients[0]), many);
      EXPECT_LT(relative_error(actual.gradients[1], exact.gradients[1]), few);
    }
  }
}

TEST(RmsNorm, OfZeroIsZeroAndItsGradientFinite) {
  Case c = random_case(2, 24);
  c.x.zero_();
  auto actual = value_and_gradients(ours, {c.x, c.weight}, c.gradient, at::kBFloat16);
  EXPECT_EQ(actual.value.abs().max().item<double>(), 0.0);
  EXPECT_TRUE(actual.gradients[0].isfinite().all().item<bool>());
}

TEST(RmsNorm, LeavesAFrozenWeightWithoutGradient) {
  Case c = random_case(3, 24);
  RmsNorm norm(24, kEps);
  norm.weight = c.weight;
  c.x.requires_grad_(true);
  norm.forward(c.x).backward(c.gradient);
  EXPECT_TRUE(c.x.grad().defined());
  EXPECT_FALSE(norm.weight.grad().defined());
}

TEST(RmsNorm, GivesTheSameBitsTwice) {
  Case c = random_case(500, 64);
  auto first = value_and_gradients(ours, {c.x, c.weight}, c.gradient, at::kBFloat16);
  auto second = value_and_gradients(ours, {c.x, c.weight}, c.gradient, at::kBFloat16);
  EXPECT_TRUE(first.value.equal(second.value));
  EXPECT_TRUE(first.gradients[0].equal(second.gradients[0]));
  EXPECT_TRUE(first.gradients[1].equal(second.gradients[1]));
}

}  // namespace
}  // namespace longspan
