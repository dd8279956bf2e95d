#include "src/nn/swiglu.h"

#include <ATen/ops/randn.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "src/core/processor.h"
#include "tests/support/gradients.h"

namespace longspan {
namespace {

at::Tensor ours(const std::vector<at::Tensor>& x) { return swiglu(x[0], x[1]); }
at::Tensor plain(const std::vector<at::Tensor>& x) { return at::silu(x[0]) * x[1]; }

// bf16 keeps 8 bits: one rounding is an error of 2^-9 at most, 0.0017 in the mean square.
constexpr double kOneRounding = 0.0018;

TEST(SwiGlu, RoundsOnceInBfloat16ForwardAndBackward) {
  if (!has_avx512_bf16()) GTEST_SKIP() << "needs AVX-512 BF16";
  for (int64_t columns : {1, 15, 16, 33, 200}) {
    at::Tensor gate = at::randn({3, 5, columns}, at::kFloat).mul_(4).to(at::kBFloat16);
    at::Tensor up = at::randn({3, 5, columns}, at::kFloat).to(at::kBFloat16);
    at::Tensor gradient = at::randn({3, 5, columns}, at::kFloat).to(at::kBFloat16);
    auto exact = value_and_gradients(plain, {gate, up}, gradient, at::kDouble);
    auto actual = value_and_gradients(ours, {gate, up}, gradient, at::kBFloat16);
    EXPECT_LT(relative_error(actual.value, exact.value), kOneRounding * 1.3) << columns;
    EXPECT_LT(relative_error(actual.gradients[0], exact.gradients[0]), kOneRounding * 1.3);
    EXPECT_LT(relative_error(actual.gradients[1], exact.gradients[1]), kOneRounding * 1.3);
  }
}

TEST(SwiGlu, IsExactWhereTheSigmoidSaturates) {
  at::Tensor gate = at::tensor({-3e38f, -200.0f, 0.0f, 200.0f, 3e38f}).to(at::kBFloat16);
  at::Tensor up = at::tensor({1.0f, 1.0f, 1.0f, 1.0f, 1.0f}).to(at::kBFloat16);
  at::Tensor out = swiglu(gate, up).to(at::kFloat);
  EXPECT_EQ(out[0].item<float>(), 0.0f);
  EXPECT_EQ(out[1].item<float>(), 0.0f);
  EXPECT_EQ(out[2].item<float>(), 0.0f);
  EXPECT_EQ(out[3].item<float>(), 200.0f);
  EXPECT_EQ(out[4].item<float>(), gate[4].item<float>());
}

TEST(SwiGlu, InOtherDtypesIsSiluTimesUp) {
  at::Tensor gate = at::randn({4, 7}, at::kDouble), up = at::randn({4, 7}, at::kDouble);
  EXPECT_TRUE(swiglu(gate, up).equal(at::silu(gate) * up));
}

TEST(SwiGlu, TakesStridedOperands) {
  at::Tensor both = at::randn({6, 40}, at::kFloat).to(at::kBFloat16);
  at::Tensor gate = both.narrow(1, 0, 20), up = both.narrow(1, 20, 20);
  EXPECT_TRUE(swiglu(gate, up).equal(swiglu(gate.contiguous(), up.contiguous())));
}

}  // namespace
}  // namespace longspan
