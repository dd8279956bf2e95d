#include "src/nn/float32_for_bf16.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "tests/support/processors.h"

namespace longspan {
namespace {

class Float32ForBf16 : public testing::Test {
 protected:
  Float32ForBf16() {
    at::manual_seed(1);
    const ForcedProcessor plain("none");
    use_float32_for_bf16_products();
  }
};

at::Tensor random(at::IntArrayRef sizes) { return at::randn(sizes, at::kBFloat16); }
at::Tensor exact(const at::Tensor& x) { return x.to(at::kDouble); }

/// One rounding to bfloat16 of a sum of float32 products.
void expect_rounded_once(const at::Tensor& y, const at::Tensor& expected) {
  ASSERT_EQ(y.scalar_type(), at::kBFloat16);
  ASSERT_EQ(y.sizes(), expected.sizes());
  const at::Tensor bound = expected.abs() / 256 + 1e-3;
  EXPECT_TRUE((exact(y) - expected).abs().le(bound).all().item<bool>())
      << (exact(y) - expected).abs().max().item<double>();
}

// Rows over a block and not a multiple of one, a long inner dimension, few rows, transposed views.
TEST_F(Float32ForBf16, AreExactToOneRounding) {
  for (const auto& [n, k, m] : std::vector<std::array<int64_t, 3>>{
           {5, 3, 7}, {2500, 30, 20}, {8, 5000, 16}, {1, 64, 32}, {1, 4096, 3}, {1, 4096, 5000}}) {
    const at::Tensor a = random({n, k}), b = random({k, m}), transposed = random({m, k}).t();
    expect_rounded_once(at::mm(a, b), at::mm(exact(a), exact(b)));
    expect_rounded_once(at::mm(a, transposed), at::mm(exact(a), exact(transposed)));
    at::Tensor out = at::empty({n, m}, at::kBFloat16);
    at::mm_out(out, a, b);
    expect_rounded_once(out, at::mm(exact(a), exact(b)));
  }
}

TEST_F(Float32ForBf16, AddToWhatIsThere) {
  for (int64_t k : {30, 5000}) {
    const at::Tensor a = random({9, k}), b = random({k, 4}), bias = random({4});
    at::Tensor c = random({9, 4});
    const at::Tensor sum = exact(c) * 0.5 + at::mm(exact(a), exact(b)) * 0.25;
    c.addmm_(a, b, 0.5, 0.25);
    expect_rounded_once(c, sum);
    expect_rounded_once(at::addmm(bias, a, b, 2, 1), exact(bias) * 2 + at::mm(exact(a), exact(b)));
  }
}

TEST_F(Float32ForBf16, ServeAutograd) {
  at::Tensor x = random({3, 70, 40}).requires_grad_(true),
             w = random({24, 40}).requires_grad_(true);
  const at::Tensor grad = random({3, 70, 24});
  at::linear(x, w).backward(grad);
  const at::Tensor rows = exact(grad).view({-1, 24});
  expect_rounded_once(x.grad(), at::mm(rows, exact(w.detach())).view({3, 70, 40}));
  expect_rounded_once(w.grad(), at::mm(rows.t(), exact(x.detach()).view({-1, 40})));
}

TEST_F(Float32ForBf16, LeaveOtherDtypesAlone) {
  const at::Tensor a = at::randn({8, 8}, at::kDouble), b = at::randn({8, 8}, at::kDouble);
  EXPECT_EQ(at::mm(a, b).scalar_type(), at::kDouble);
  EXPECT_THROW(at::mm(a, at::randn({7, 8}, at::kDouble)), c10::Error);
  EXPECT_THROW(at::mm(random({8, 8}), random({7, 8})), c10::Error);
  EXPECT_THROW(at::mm(random({8, 5000}), random({6000, 16})), c10::Error);
}

}  // namespace
}  // namespace longspan
