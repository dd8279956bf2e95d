#include "src/attention/rotary.h"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "src/core/processor.h"
#include "tests/support/gradients.h"

namespace longspan {
namespace {

Rotary rotary(int64_t dimensions, int64_t seq_len) {
  return Rotary({unscaled_inv_freq({dimensions, 10000.0, 64}), 1.0},
                at::arange(seq_len, at::kLong).unsqueeze(0), at::kFloat);
}

TEST(Rotary, TurnsTheFirstDimensionsAndLeavesTheRest) {
  at::Tensor x = at::randn({1, 2, 9, 16});
  at::Tensor turned = rotary(12, 9).rotate(x);
  EXPECT_TRUE(at::equal(turned.narrow(-1, 0, 12), rotary(12, 9).rotate(x.narrow(-1, 0, 12))));
  EXPECT_TRUE(at::equal(turned.narrow(-1, 12, 4), x.narrow(-1, 12, 4)));
}

TEST(Rotary, LeavesTheRestInBfloat16Too) {
  at::Tensor x = at::randn({1, 2, 9, 16}).to(at::kBFloat16);
  Rotary part({unscaled_inv_freq({12, 10000.0, 64}), 1.0}, at::arange(9, at::kLong).unsqueeze(0),
              at::kBFloat16);
  at::Tensor turned = part.rotate(x);
  EXPECT_TRUE(at::equal(turned.narrow(-1, 0, 12), part.rotate(x.narrow(-1, 0, 12))));
  EXPECT_TRUE(at::equal(turned.narrow(-1, 12, 4), x.narrow(-1, 12, 4)));
}

TEST(Rotary, TurnsNothingWithoutFrequencies) {
  at::Tensor x = at::randn({1, 2, 9, 16});
  EXPECT_TRUE(at::equal(Rotary().rotate(x), x));
  EXPECT_FALSE(at::equal(rotary(16, 9).rotate(x), x));
}

RopeFrequencies frequencies_of(int64_t head_dim) {
  return make_rope_scaling("default")->frequencies({head_dim, 10000.0, 2048}, 64);
}

TEST(Rotary, InBfloat16RotatesAsInDoubleForwardAndBackward) {
  if (!has_avx512_bf16()) GTEST_SKIP() << "needs AVX-512 BF16";
  at::manual_seed(3);
  for (int64_t head_dim : {8, 64, 80}) {
    at::Tensor positions = (at::arange(9, at::kLong) * 37).unsqueeze(0);
    // [B, T, H, D] seen as [B, H, T, D], as a projection gives it.
    at::Tensor x = at::randn({2, 9, 3, head_dim}, at::kFloat).to(at::kBFloat16);
    at::Tensor gradient = at::randn({2, 3, 9, head_dim}, at::kFloat).to(at::kBFloat16);
    Rotary in_bf16(frequencies_of(head_dim), positions, at::kBFloat16);
    Rotary in_double(frequencies_of(head_dim), positions, at::kDouble);
    auto rotated_by = [](const Rotary& rotary) {
      return [&rotary](const std::vector<at::Tensor>& in) {
        return rotary.rotate(in[0].transpose(1, 2));
      };
    };
    auto exact = value_and_gradients(rotated_by(in_double), {x}, gradient, at::kDouble);
    auto actual = value_and_gradients(rotated_by(in_bf16), {x}, gradient, at::kBFloat16);
    // The tables are rounded, as transformers rounds them, and the result.
    EXPECT_LT(relative_error(actual.value, exact.value), 0.0040) << head_dim;
    EXPECT_LT(relative_error(actual.gradients[0], exact.gradients[0]), 0.0040) << head_dim;
  }
}

TEST(Rotary, GivesEachRowOfABatchItsOwnPositions) {
  at::Tensor x = at::randn({1, 2, 5, 16}, at::kFloat).to(at::kBFloat16).repeat({2, 1, 1, 1});
  at::Tensor positions = at::arange(10, at::kLong).view({2, 5});
  Rotary both(frequencies_of(16), positions, at::kBFloat16);
  Rotary second(frequencies_of(16), positions.narrow(0, 1, 1), at::kBFloat16);
  at::Tensor rotated = both.rotate(x);
  EXPECT_FALSE(rotated[0].equal(rotated[1]));
  EXPECT_TRUE(rotated[1].equal(second.rotate(x.narrow(0, 1, 1))[0]));
}

TEST(Rotary, AtPositionZeroChangesNothing) {
  at::Tensor x = at::randn({1, 2, 1, 16}, at::kFloat).to(at::kBFloat16);
  Rotary rotary(frequencies_of(16), at::arange(1, at::kLong).unsqueeze(0), at::kBFloat16);
  EXPECT_TRUE(rotary.rotate(x).equal(x));
}

}  // namespace
}  // namespace longspan
