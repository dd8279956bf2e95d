#include "src/attention/rotary.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

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

TEST(Rotary, TurnsNothingWithoutFrequencies) {
  at::Tensor x = at::randn({1, 2, 9, 16});
  EXPECT_TRUE(at::equal(Rotary().rotate(x), x));
  EXPECT_FALSE(at::equal(rotary(16, 9).rotate(x), x));
}

}  // namespace
}  // namespace longspan
