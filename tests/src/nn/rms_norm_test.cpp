#include "src/nn/rms_norm.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/rms_norm.h>
#include <gtest/gtest.h>

#include "src/nn/kernels/elementwise.h"
#include "tests/support/devices.h"
#include "tests/support/gradcheck.h"

namespace longspan {
namespace {

constexpr double kEps = 1e-5;

using Function = std::function<at::Tensor(const std::vector<at::Tensor>&)>;

Function ours(bool zero_centered) {
  return [=](const std::vector<at::Tensor>& x) {
    RmsNorm norm(x[1].size(0), kEps, zero_centered);
    norm.weight = x[1];
    return norm.forward(x[0]);
  };
}
Function plain(bool zero_centered) {
  return [=](const std::vector<at::Tensor>& x) {
    return at::rms_norm(x[0], x[1].sizes(), zero_centered ? x[1] + 1 : x[1], kEps);
  };
}

struct NormCase {
  at::Tensor x, weight, gradient;
};
NormCase random_case(at::Device device, int64_t rows, int64_t size,
                     at::ScalarType dtype = at::kBFloat16) {
  auto draw = [&](at::IntArrayRef shape) { return at::randn(shape, at::kFloat).to(device, dtype); };
  return {draw({rows, size}), draw({size}), draw({rows, size})};
}

class RmsNormOn : public OnDevice {};

TEST_P(RmsNormOn, RoundsOnceForwardAndBackward) {
  at::manual_seed(3);
  for (auto [dtype, bits] : {std::pair{at::kBFloat16, 8}, {at::kHalf, 11}, {at::kFloat, 24}}) {
    // An error of 2^-bits at most; 0.44 of it in the mean square of many numbers. In float32 the
    // sums round too.
    const double unit = std::ldexp(dtype == at::kFloat ? 4 : 1, -bits);
    for (int64_t size : {7, 8, 16, 40, 41, 576}) {
      for (int64_t rows : {1, 7, 100}) {
        double many = (rows * size < 5000 ? 1.03 : 0.46) * unit,
               few = (size < 500 ? 1.03 : 0.57) * unit;
        NormCase c = random_case(device(), rows, size, dtype);
        if (device().is_cpu()) {
          EXPECT_EQ(elementwise::kernels_for(c.x) != nullptr, has_kernels(dtype)) << dtype;
        }
        for (bool zero_centered : {false, true}) {
          auto exact =
              value_and_gradients(plain(zero_centered), {c.x, c.weight}, c.gradient, at::kDouble);
          auto actual =
              value_and_gradients(ours(zero_centered), {c.x, c.weight}, c.gradient, dtype);
          EXPECT_LT(relative_error(actual.value, exact.value), many) << rows << " x " << size;
          EXPECT_LT(relative_error(actual.gradients[0], exact.gradients[0]), many) << dtype;
          EXPECT_LT(relative_error(actual.gradients[1], exact.gradients[1]), few) << dtype;
        }
      }
    }
  }
}

TEST_P(RmsNormOn, HasTheGradientsOfItsDifferences) {
  at::manual_seed(3);
  NormCase c = random_case(device(), 3, 7, at::kDouble);
  for (bool zero_centered : {false, true}) {
    expect_gradients_as_by_differences(ours(zero_centered), {c.x, c.weight});
  }
}

TEST_P(RmsNormOn, OfZeroIsZeroAndItsGradientFinite) {
  NormCase c = random_case(device(), 2, 24);
  c.x.zero_();
  auto actual = value_and_gradients(ours(false), {c.x, c.weight}, c.gradient, at::kBFloat16);
  EXPECT_EQ(actual.value.abs().max().item<double>(), 0.0);
  EXPECT_TRUE(actual.gradients[0].isfinite().all().item<bool>());
}

TEST_P(RmsNormOn, LeavesAFrozenWeightWithoutGradient) {
  NormCase c = random_case(device(), 3, 24);
  for (bool zero_centered : {false, true}) {
    RmsNorm norm(24, kEps, zero_centered);
    norm.weight = c.weight;
    at::Tensor x = c.x.clone().requires_grad_(true);
    norm.forward(x).backward(c.gradient);
    EXPECT_TRUE(x.grad().defined());
    EXPECT_FALSE(norm.weight.grad().defined());
  }
}

TEST_P(RmsNormOn, GivesTheSameBitsTwice) {
  NormCase c = random_case(device(), 500, 64);
  auto first = value_and_gradients(ours(false), {c.x, c.weight}, c.gradient, at::kBFloat16);
  auto second = value_and_gradients(ours(false), {c.x, c.weight}, c.gradient, at::kBFloat16);
  EXPECT_TRUE(first.value.equal(second.value));
  EXPECT_TRUE(first.gradients[0].equal(second.gradients[0]));
  EXPECT_TRUE(first.gradients[1].equal(second.gradients[1]));
}

TEST_P(RmsNormOn, SumsManyRowsAlikeOnAnyNumberOfThreads) {
  at::manual_seed(3);
  const int threads = at::get_num_threads();
  NormCase c = random_case(device(), 20'000, 40, at::kFloat);
  auto exact = value_and_gradients(plain(false), {c.x, c.weight}, c.gradient, at::kDouble);
  at::set_num_threads(1);
  auto one = value_and_gradients(ours(false), {c.x, c.weight}, c.gradient, at::kFloat);
  at::set_num_threads(threads);
  auto all = value_and_gradients(ours(false), {c.x, c.weight}, c.gradient, at::kFloat);
  EXPECT_LT(relative_error(one.gradients[1], exact.gradients[1]), 0x1p-20);
  EXPECT_TRUE(one.gradients[1].equal(all.gradients[1]) || device().is_cuda());
}

TEST_P(RmsNormOn, TakesAWeightOfAnotherType) {
  if (!device().is_cpu()) GTEST_SKIP() << "the CUDA kernel takes one dtype";
  NormCase c = random_case(device(), 3, 40);
  at::Tensor y = ours(false)({c.x, c.weight.to(at::kFloat)});
  EXPECT_TRUE(y.equal(ours(false)({c.x, c.weight})));
  EXPECT_THROW(ours(false)({c.x, c.weight.narrow(0, 0, 20)}), c10::Error);
}

TEST_P(RmsNormOn, TakesHeadsAndNothing) {
  NormCase c = random_case(device(), 2 * 5 * 3, 16);
  at::Tensor heads = c.x.view({2, 5, 3, 16});
  Function norm = ours(false);
  EXPECT_TRUE(
      norm({heads.transpose(1, 2), c.weight}).equal(norm({heads, c.weight}).transpose(1, 2)));
  EXPECT_EQ(norm({c.x.narrow(0, 0, 0), c.weight}).sizes(), at::IntArrayRef({0, 16}));
}

INSTANTIATE_ON_DEVICES(RmsNormOn);

}  // namespace
}  // namespace longspan
