#include "src/attention/rotary.h"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "src/attention/kernels/rotary_kernels.h"
#include "tests/support/devices.h"
#include "tests/support/gradcheck.h"

namespace longspan {
namespace {

/// The rotation of `positions` [B, T].
Rotary rotary_at(const at::Tensor& positions, int64_t dimensions, at::ScalarType dtype) {
  return Rotary({unscaled_inv_freq({dimensions, 10000.0, 64}), 1.0}, positions, dtype);
}

class RotaryOn : public OnDevice {
 protected:
  /// Of the positions 0 .. tokens - 1.
  static Rotary rotary(int64_t dimensions, int64_t tokens, at::ScalarType dtype = at::kFloat) {
    return rotary_at(at::arange(tokens, at::kLong).unsqueeze(0).to(device()), dimensions, dtype);
  }
  static at::Tensor draw(at::IntArrayRef shape, at::ScalarType dtype = at::kFloat) {
    return at::randn(shape, at::kFloat).to(device(), dtype);
  }
};

TEST_P(RotaryOn, TurnsTheFirstDimensionsAndLeavesTheRest) {
  for (at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    at::Tensor x = draw({1, 2, 9, 16}, dtype);
    at::Tensor turned = rotary(12, 9, dtype).rotate(x);
    at::Tensor alone = rotary(12, 9, dtype).rotate(x.narrow(-1, 0, 12));
    EXPECT_TRUE(at::equal(turned.narrow(-1, 0, 12), alone));
    EXPECT_TRUE(at::equal(turned.narrow(-1, 12, 4), x.narrow(-1, 12, 4)));
  }
}

TEST_P(RotaryOn, TurnsNothingWithoutFrequencies) {
  at::Tensor x = draw({1, 2, 9, 16});
  EXPECT_TRUE(at::equal(Rotary().rotate(x), x));
  EXPECT_FALSE(at::equal(rotary(16, 9).rotate(x), x));
}

TEST_P(RotaryOn, RotatesAsInDoubleForwardAndBackward) {
  at::manual_seed(3);
  for (int64_t head_dim : {8, 64, 80}) {
    at::Tensor positions = (at::arange(9, at::kLong) * 37).unsqueeze(0).to(device());
    for (auto [dtype, bits] : {std::pair{at::kBFloat16, 8}, {at::kHalf, 11}, {at::kFloat, 22}}) {
      // [B, T, H, D] seen as [B, H, T, D], as a projection gives it.
      at::Tensor x = draw({2, 9, 3, head_dim}, dtype), gradient = draw({2, 3, 9, head_dim}, dtype);
      if (device().is_cpu()) {
        EXPECT_EQ(rotary::kernel_for(x) != nullptr, has_kernels(dtype)) << dtype;
      }
      Rotary rounded = rotary_at(positions, head_dim, dtype);
      Rotary in_double = rotary_at(positions, head_dim, at::kDouble);
      auto rotated_by = [](const Rotary& rotary) {
        return [&rotary](const std::vector<at::Tensor>& in) {
          return rotary.rotate(in[0].transpose(1, 2));
        };
      };
      auto exact = value_and_gradients(rotated_by(in_double), {x}, gradient, at::kDouble);
      auto actual = value_and_gradients(rotated_by(rounded), {x}, gradient, dtype);
      // The tables are rounded, as transformers rounds them, and the result.
      const double bound = std::ldexp(1.03, -bits);
      EXPECT_LT(relative_error(actual.value, exact.value), bound) << head_dim << " " << dtype;
      EXPECT_LT(relative_error(actual.gradients[0], exact.gradients[0]), bound) << head_dim;
    }
  }
}

TEST_P(RotaryOn, HasTheGradientsOfItsDifferences) {
  at::manual_seed(3);
  const Rotary part = rotary(4, 3, at::kDouble);
  expect_gradients_as_by_differences(
      [&](const std::vector<at::Tensor>& in) { return part.rotate(in[0].transpose(1, 2)); },
      {draw({2, 3, 2, 7})});
}

TEST_P(RotaryOn, GivesEachRowOfABatchItsOwnPositions) {
  at::Tensor x = draw({1, 2, 5, 16}, at::kBFloat16).repeat({2, 1, 1, 1});
  at::Tensor positions = at::arange(10, at::kLong).view({2, 5}).to(device());
  Rotary both = rotary_at(positions, 16, at::kBFloat16);
  Rotary second = rotary_at(positions.narrow(0, 1, 1), 16, at::kBFloat16);
  at::Tensor rotated = both.rotate(x);
  EXPECT_FALSE(rotated[0].equal(rotated[1]));
  EXPECT_TRUE(rotated[1].equal(second.rotate(x.narrow(0, 1, 1))[0]));
}

TEST_P(RotaryOn, AtOtherPositionsIsTheRotationOfThose) {
  at::manual_seed(3);
  const RopeFrequencies scaled{unscaled_inv_freq({16, 10000.0, 64}), 1.25};
  at::Tensor positions = at::arange(5, at::kLong).unsqueeze(0).to(device());
  at::Tensor others = at::tensor({40, 0, 7, 7, 1000, 3, 2}, at::kLong).unsqueeze(0).to(device());
  for (at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    at::Tensor x = draw({2, 3, 7, 20}, dtype);  // four dimensions do not turn
    Rotary moved = Rotary(scaled, positions, dtype).at(others);
    EXPECT_TRUE(at::equal(moved.rotate(x), Rotary(scaled, others, dtype).rotate(x)));
    at::Tensor first = draw({2, 3, 5, 20}, dtype);
    EXPECT_TRUE(at::equal(moved.at(positions).rotate(first),
                          Rotary(scaled, positions, dtype).rotate(first)));
  }
  at::Tensor x = draw({1, 2, 7, 16});
  EXPECT_TRUE(at::equal(Rotary().at(others).rotate(x), x));
}

TEST_P(RotaryOn, RefusesHeadsThatItsTablesDoNotSuit) {
  EXPECT_THROW(rotary(16, 5).rotate(draw({1, 2, 4, 16})), c10::Error);
  EXPECT_THROW(rotary(16, 5).rotate(draw({1, 2, 5, 8})), c10::Error);
}

TEST_P(RotaryOn, AtPositionZeroChangesNothing) {
  at::Tensor x = draw({1, 2, 1, 16}, at::kBFloat16);
  EXPECT_TRUE(rotary(16, 1, at::kBFloat16).rotate(x).equal(x));
}

INSTANTIATE_ON_DEVICES(RotaryOn);

}  // namespace
}  // namespace longspan
