#include "src/nn/lora_dropout.h"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include "src/nn/kernels/dropout_group.h"
#include "tests/support/devices.h"
#include "tests/support/largest.h"

namespace longspan {
namespace {

const at::Tensor& ones() {
  static const at::Tensor x = at::ones({3, 50, 97});
  return x;
}

at::Tensor dropped(const at::Tensor& x, uint64_t seed = 1, uint64_t number = 2,
                   uint64_t projection = 3) {
  const DropoutPass pass(seed, number);
  return LoraDropout(0.25, projection).apply(x, *dropout_place(x));
}

double share_of_zeros(const at::Tensor& x) { return x.eq(0).to(at::kDouble).mean().item<double>(); }

TEST(LoraDropout, ActsInAPassOnly) {
  EXPECT_FALSE(dropout_place(ones()));
  {
    const DropoutPass pass(1, 2);
    EXPECT_TRUE(dropout_place(ones()));
  }
  EXPECT_FALSE(dropout_place(ones()));
}

TEST(LoraDropout, DropsThePartThatIsAskedForAndScalesTheRest) {
  const at::Tensor y = dropped(ones());
  EXPECT_NEAR(share_of_zeros(y), 0.25, 0.012);  // 4 standard deviations of 14,550 draws
  EXPECT_TRUE(at::equal(y.eq(0).logical_or(y.eq(1 / 0.75f)), ones().to(at::kBool)));
}

TEST(LoraDropout, IsTheSameForTheSamePlaceAndElseIndependent) {
  const at::Tensor y = dropped(ones());
  EXPECT_TRUE(at::equal(dropped(ones()), y));
  // Two independent masks agree in 0.25^2 + 0.75^2 of the elements.
  const auto agree = [](const at::Tensor& a, const at::Tensor& b) {
    return 1 - share_of_zeros(a.eq(b));
  };
  EXPECT_NEAR(agree(dropped(ones(), 5, 2, 3), y), 0.625, 0.02);
  EXPECT_NEAR(agree(dropped(ones(), 1, 5, 3), y), 0.625, 0.02);
  EXPECT_NEAR(agree(dropped(ones(), 1, 2, 5), y), 0.625, 0.02);
  EXPECT_NEAR(agree(y[0], y[1]), 0.625, 0.03);
  EXPECT_NEAR(agree(y.narrow(1, 0, 49), y.narrow(1, 1, 49)), 0.625, 0.02);
}

TEST(LoraDropout, OfAChunkIsThatOfTheWhole) {
  const at::Tensor y = dropped(ones());
  const FirstToken first(20);
  EXPECT_TRUE(at::equal(dropped(ones().narrow(1, 20, 7)), y.narrow(1, 20, 7)));
}

TEST(LoraDropout, AGroupIsWhatTheGeneratorOfItsRowGivesNext) {
  const DropoutDraw draw{.key = 77, .threshold = 16384, .begin = 5, .first_token = 3, .tokens = 4};
  // Row 5 + 2 is token 3 + 3 of the batch's row 1.
  at::Philox4_32 in_turn(77, uint64_t{1} << 32 | 6);
  for (int64_t group = 0; group < 4; ++group) {
    float drawn[kDropoutGroup];
    draw_dropout_group(draw, draw.subsequence(/*row=*/2), group, /*kept=*/2.0f, drawn);
    for (int i = 0; i < kDropoutGroup; i += 2) {
      const uint32_t bits = in_turn(kPhiloxRounds);
      EXPECT_EQ(drawn[i], bits % 65536 < 16384 ? 0 : 2);
      EXPECT_EQ(drawn[i + 1], bits / 65536 < 16384 ? 0 : 2);
    }
  }
}

TEST(LoraDropout, OnCudaDropsTheSameElements) {
  if (auto reason = why_not_on_cuda(); !reason.empty()) GTEST_SKIP() << reason;
  for (const auto dtype : {at::kFloat, at::kBFloat16, at::kDouble}) {
    for (const int64_t columns : {96, 97}) {
      const at::Tensor x = at::ones({3, 700, columns}, dtype);
      EXPECT_TRUE(at::equal(dropped(x.to(at::kCUDA)).cpu(), dropped(x)));
    }
  }
}

TEST(LoraDropout, ProductAndItsGradientsAreThoseOfTheDroppedInput) {
  at::manual_seed(3);
  at::Tensor x = at::randn({2, 700, 5}, at::kDouble).requires_grad_(true);  // more than a block
  at::Tensor a = at::randn({3, 5}, at::kDouble).requires_grad_(true);
  const at::Tensor grad = at::randn({2, 700, 3}, at::kDouble);
  const DropoutPass pass(1, 2);
  const DropoutPlace place = *dropout_place(x);
  const LoraDropout dropout(0.25, 3);
  const at::Tensor expected = at::linear(dropout.apply(x, place), a);
  expected.backward(grad);

  const at::Tensor rows = x.detach().view({-1, 5}), grad_rows = grad.view({-1, 3});
  EXPECT_LT(
      largest_difference(dropout.product(rows, a.detach(), place), expected.detach().view({-1, 3})),
      1e-12);
  at::Tensor grad_x = at::zeros_like(rows);
  const at::Tensor grad_a = dropout.backward(grad_rows, rows, a.detach(), place, grad_x);
  EXPECT_LT(largest_difference(grad_a, a.grad()), 1e-11);
  EXPECT_LT(largest_difference(grad_x, x.grad().view({-1, 5})), 1e-12);
}

}  // namespace
}  // namespace longspan
