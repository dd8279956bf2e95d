#include "src/nn/chunked_projection.h"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "src/nn/lora_linear.h"
#include "src/nn/rms_norm.h"
#include "tests/support/float32_bound.h"

namespace longspan {
namespace {

constexpr int64_t kTermsOfProjections = 16 + 2 * 7;  // over features, and in gradients over tokens

/// RMSNorm, then q of rank 3 and k without a low-rank part, in float32; 2 x 7 tokens of size 16.
class ChunkedProjection : public ::testing::Test {
 protected:
  ChunkedProjection() {
    at::manual_seed(11);
    x_ = at::randn({2, 7, 16}).requires_grad_(true);
    norm_.weight = at::randn({16}).requires_grad_(true);
    Linear base(16, 4, true);
    base.weight = at::randn({4, 16}), base.bias = at::randn({4});
    q_ = std::make_unique<LoraLinear>(base, LoraOptions{.r = 3, .lora_alpha = 5});
    q_->lora_A = at::randn({3, 16}).requires_grad_(true);
    q_->lora_B = at::randn({4, 3}).requires_grad_(true);
    k_.weight = at::randn({5, 16});
  }

  std::vector<at::Tensor> run(const at::Tensor& x, int64_t chunk_tokens) {
    return project_normed(x, norm_, {q_.get(), &k_}, chunk_tokens);
  }

  /// The gradients of x, the norm, A and B after one backward pass; takes them away.
  std::vector<at::Tensor> gradients(const at::Tensor& x, int64_t chunk_tokens) {
    auto ys = run(x, chunk_tokens);
    (ys[0].square().sum() + ys[1].sin().sum()).backward();
    std::vector<at::Tensor> taken;
    for (at::Tensor* p : {&x_, &norm_.weight, &q_->lora_A, &q_->lora_B}) {
      taken.push_back(p->grad().defined() ? p->grad().clone() : at::Tensor());
      p->mutable_grad().reset();
    }
    return taken;
  }

  static void expect_near(const at::Tensor& a, const at::Tensor& b) {
    ASSERT_EQ(a.defined(), b.defined());
    if (!a.defined()) return;
    EXPECT_LE(largest(a - b), float32_bound(b, kTermsOfProjections));
  }

  at::Tensor x_;
  RmsNorm norm_{16, 1e-5};
  std::unique_ptr<LoraLinear> q_;
  Linear k_{16, 5, false};
};

TEST_F(ChunkedProjection, GivesWhatProjectingAllAtOnceGives) {
  for (const at::Tensor& x : {x_, x_.detach()}) {
    const auto outputs = run(x, 0), right = gradients(x, 0);
    for (int64_t chunk_tokens : {1, 2, 3, 6, 7, 9}) {
      const auto chunked = run(x, chunk_tokens), own = gradients(x, chunk_tokens);
      for (size_t i = 0; i < outputs.size(); ++i) expect_near(chunked[i], outputs[i]);
      for (size_t i = 0; i < right.size(); ++i) expect_near(own[i], right[i]);
    }
  }
}

TEST_F(ChunkedProjection, AddsToGradientsThatAreThere) {
  const auto once = gradients(x_, 3);
  norm_.weight.mutable_grad() = norm_.weight.detach().clone();
  q_->lora_A.mutable_grad() = q_->lora_A.detach().clone();
  const auto again = gradients(x_, 3);
  expect_near(again[1], once[1] + norm_.weight.detach());
  expect_near(again[2], once[2] + q_->lora_A.detach());
}

TEST_F(ChunkedProjection, GoesThroughAnOutputThatIsNotUsed) {
  run(x_, 0)[1].sum().backward();
  const at::Tensor right = x_.grad().clone();
  x_.mutable_grad().reset();
  run(x_, 2)[1].sum().backward();
  expect_near(x_.grad(), right);
}

TEST_F(ChunkedProjection, TrainsAWeightThatRequiresGradients) {
  k_.weight.requires_grad_(true);
  gradients(x_, 0);
  const at::Tensor right = k_.weight.grad().clone();
  k_.weight.mutable_grad().reset();
  gradients(x_, 2);
  EXPECT_TRUE(at::equal(k_.weight.grad(), right));
}

TEST_F(ChunkedProjection, RecordsNothingWhereNothingIsTrained) {
  for (at::Tensor* p : {&norm_.weight, &q_->lora_A, &q_->lora_B}) p->requires_grad_(false);
  EXPECT_FALSE(run(x_.detach(), 2)[0].requires_grad());
  at::NoGradGuard no_gradients;
  EXPECT_FALSE(run(x_, 2)[0].requires_grad());
}

}  // namespace
}  // namespace longspan
