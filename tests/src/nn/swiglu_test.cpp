#include "src/nn/swiglu.h"

#include <ATen/Context.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "src/nn/kernels/elementwise.h"
#include "tests/support/devices.h"
#include "tests/support/gradcheck.h"

namespace longspan {
namespace {

at::Tensor our_swiglu(const std::vector<at::Tensor>& x) { return swiglu(x[0], x[1]); }
at::Tensor plain_swiglu(const std::vector<at::Tensor>& x) { return at::silu(x[0]) * x[1]; }

class SwiGluOn : public OnDevice {
 protected:
  static at::Tensor draw(at::IntArrayRef shape, at::ScalarType dtype = at::kBFloat16) {
    return at::randn(shape, at::kFloat).to(device(), dtype);
  }
};

TEST_P(SwiGluOn, RoundsOnceForwardAndBackward) {
  at::manual_seed(3);
  for (auto [dtype, bits] : {std::pair{at::kBFloat16, 8}, {at::kHalf, 11}, {at::kFloat, 24}}) {
    // One rounding is an error of 2^-bits at most, and of 0.44 of that in the mean square of many
    // numbers; two would be 0.61. In float32 the steps round too.
    const double unit = std::ldexp(dtype == at::kFloat ? 8 : 1, -bits);
    for (int64_t columns : {1, 15, 16, 33, 2000}) {
      double bound = (columns < 66 ? 1.03 : 0.46) * unit;
      at::Tensor gate = draw({3, 5, columns}, at::kFloat).mul_(4).to(dtype);
      at::Tensor up = draw({3, 5, columns}, dtype), gradient = draw({3, 5, columns}, dtype);
      if (device().is_cpu()) {
        EXPECT_EQ(elementwise::kernels_for(gate) != nullptr, has_kernels(dtype)) << dtype;
      }
      auto exact = value_and_gradients(plain_swiglu, {gate, up}, gradient, at::kDouble);
      auto actual = value_and_gradients(our_swiglu, {gate, up}, gradient, dtype);
      EXPECT_LT(relative_error(actual.value, exact.value), bound) << dtype << " " << columns;
      EXPECT_LT(relative_error(actual.gradients[0], exact.gradients[0]), bound) << dtype;
      EXPECT_LT(relative_error(actual.gradients[1], exact.gradients[1]), bound) << dtype;
    }
  }
}

TEST_P(SwiGluOn, HasTheGradientsOfItsDifferences) {
  at::manual_seed(3);
  expect_gradients_as_by_differences(our_swiglu, {draw({3, 7}), draw({3, 7})});
}

TEST_P(SwiGluOn, IsExactWhereTheSigmoidSaturates) {
  at::Tensor gate = at::tensor({-3e38f, -200.0f, 0.0f, 200.0f, 3e38f}).to(device(), at::kBFloat16);
  at::Tensor up = at::tensor({1.0f, 1.0f, 1.0f, 1.0f, 1.0f}).to(device(), at::kBFloat16);
  at::Tensor out = swiglu(gate, up).to(at::kFloat);
  EXPECT_EQ(out[0].item<float>(), 0.0f);
  EXPECT_EQ(out[1].item<float>(), 0.0f);
  EXPECT_EQ(out[2].item<float>(), 0.0f);
  EXPECT_EQ(out[3].item<float>(), 200.0f);
  EXPECT_EQ(out[4].item<float>(), gate[4].item<float>());
}

TEST_P(SwiGluOn, TakesStridedOperandsAndNothing) {
  at::Tensor both = draw({6, 40});
  at::Tensor gate = both.narrow(1, 0, 20), up = both.narrow(1, 20, 20);
  EXPECT_TRUE(swiglu(gate, up).equal(swiglu(gate.contiguous(), up.contiguous())));
  EXPECT_EQ(swiglu(gate.narrow(0, 0, 0), up.narrow(0, 0, 0)).numel(), 0);
}

TEST_P(SwiGluOn, RefusesOperandsThatDiffer) {
  EXPECT_THROW(swiglu(draw({2, 3}), draw({3})), c10::Error);
  EXPECT_THROW(swiglu(draw({2, 3}), draw({2, 3}, at::kFloat)), c10::Error);
}

INSTANTIATE_ON_DEVICES(SwiGluOn);

}  // namespace
}  // namespace longspan
