#include "src/nn/swiglu.h"

#include <ATen/Context.h>
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

// bf16 keeps 8 bits: one rounding is an error of 2^-8 at most, and of 0.0017 in the mean square of
// many numbers; two would be 0.0024.
double one_rounding(int64_t numel) { return numel < 1000 ? 0.0040 : 0.0018; }

TEST(SwiGlu, RoundsOnceInBfloat16ForwardAndBackward) {
  if (!has_avx512_bf16()) GTEST_SKIP() << "needs AVX-512 BF16";
  at::manual_seed(3);
  for (int64_t columns : {1, 15, 16, 33, 2000}) {
    double bound = one_rounding(15 * columns);
    at::Tensor gate = at::randn({3, 5, columns}, at::kFloat).mul_(4).to(at::kBFloat16);
    at::Tensor up = at::randn({3, 5, columns}, at::kFloat).to(at::kBFloat16);
    at::Tensor gradient = at::randn({3, 5, columns}, at::kFloat).to(at::kBFloat16);
    auto exact = value_and_gradients(plain, {gate, up}, gradient, at::kDouble);
    auto actual = value_and_gradients(ours, {gate, up}, gradient, at::kBFloat16);
    EXPECT_LT(relative_error(actual.value, exact.value), bound) << columns;
    EXPECT_LT(relative_error(actual.gradients[0], exact.gradients[0]), bound);
    EXPECT_LT(relative_error(actual.gradients[1], exact.gradients[1]), bound);
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
