#include "src/nn/projection.h"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "src/nn/lora_linear.h"
#include "tests/support/gradcheck.h"

namespace longspan {
namespace {

/// q with a bias and rank 3, k without a low-rank part, v of rank 2; in float64.
class Projection : public ::testing::Test {
 protected:
  Projection() {
    at::manual_seed(7);
    x_ = random({2, 5, 6}).requires_grad_(true);
    q_ = lora(4, 3, true), v_ = lora(2, 2, false);
    k_ = std::make_unique<Linear>(6, 3, false);
    k_->weight = random({3, 6});
  }

  static at::Tensor random(at::IntArrayRef shape) { return at::randn(shape, at::kDouble); }

  static std::unique_ptr<LoraLinear> lora(int64_t out_features, int64_t r, bool bias,
                                          LoraOptions options = {}, uint64_t projection = 0) {
    Linear base(6, out_features, bias);
    base.weight = random({out_features, 6});
    if (bias) base.bias = random({out_features});
    options.r = r;
    options.lora_alpha = 5;
    auto made = std::make_unique<LoraLinear>(base, options, projection);
    made->lora_A = random({r, 6}).requires_grad_(true);
    made->lora_B = random({out_features, r}).requires_grad_(true);
    return made;
  }

  std::vector<const Linear*> linears() { return {q_.get(), k_.get(), v_.get()}; }

  /// What LoRA's formula says, by LibTorch's own operators.
  std::vector<at::Tensor> reference() {
    const auto added = [&](const LoraLinear& linear) {
      return at::linear(at::linear(x_, linear.lora_A), linear.lora_B) * linear.low_rank()->scale;
    };
    return {at::linear(x_, q_->weight, q_->bias) + added(*q_), at::linear(x_, k_->weight),
            at::linear(x_, v_->weight) + added(*v_)};
  }

  std::vector<at::Tensor> take_gradients() {
    std::vector<at::Tensor> taken;
    for (at::Tensor* p : {&x_, &q_->lora_A, &q_->lora_B, &v_->lora_A, &v_->lora_B}) {
      taken.push_back(p->grad().defined() ? p->grad().clone() : at::Tensor());
      p->mutable_grad().reset();
    }
    return taken;
  }

  static void expect_near(const at::Tensor& a, const at::Tensor& b) {
    ASSERT_EQ(a.sizes(), b.sizes());
    EXPECT_LT((a - b).abs().max().item<double>(), 1e-12);
  }

  at::Tensor x_;
  std::unique_ptr<LoraLinear> q_, v_;
  std::unique_ptr<Linear> k_;
};

at::Tensor loss_of(const std::vector<at::Tensor>& ys) {
  return ys[0].square().sum() + ys[1].sin().sum() + ys[2].square().sum() * 0.5;
}

TEST_F(Projection, DropsTheInputOfEachAInForwardAndBackward) {
  q_ = lora(4, 3, true, {.lora_dropout = 0.5}, 1), v_ = lora(2, 2, false, {.lora_dropout = 0.5}, 2);
  const DropoutPass pass(3, 4);
  const auto place = *dropout_place(x_);
  const auto added = [&](const LoraLinear& linear, uint64_t projection) {
    const at::Tensor dropped = LoraDropout(0.5, projection).apply(x_, place);
    return at::linear(at::linear(dropped, linear.lora_A), linear.lora_B) * linear.low_rank()->scale;
  };
  const std::vector<at::Tensor> expected{at::linear(x_, q_->weight, q_->bias) + added(*q_, 1),
                                         at::linear(x_, k_->weight),
                                         at::linear(x_, v_->weight) + added(*v_, 2)};
  const auto outputs = project(x_, linears());
  for (size_t i = 0; i < 3; ++i) expect_near(outputs[i], expected[i]);
  loss_of(expected).backward();
  const auto right = take_gradients();
  loss_of(outputs).backward();
  const auto own = take_gradients();
  for (size_t i = 0; i < own.size(); ++i) expect_near(own[i], right[i]);

  const std::vector<at::Tensor> ys = project(x_, linears());
  std::vector<at::Tensor> grad_ys{2 * ys[0].detach(), ys[1].detach().cos(), ys[2].detach()};
  const at::Tensor grad_x = project_backward(x_.detach(), linears(), grad_ys, true);
  expect_near(grad_x, right[0]);
  const auto alone = take_gradients();
  for (size_t i = 1; i < alone.size(); ++i) expect_near(alone[i], right[i]);
}

TEST_F(Projection, GivesOutputsAndGradientsOfTheFormula) {
  std::vector<at::Tensor> expected = reference(), outputs = project(x_, linears());
  for (size_t i = 0; i < 3; ++i) expect_near(outputs[i], expected[i]);
  loss_of(expected).backward();
  auto right = take_gradients();
  loss_of(outputs).backward();
  auto own = take_gradients();
  for (size_t i = 0; i < right.size(); ++i) expect_near(own[i], right[i]);
}

TEST_F(Projection, HasTheGradientsOfItsDifferences) {
  expect_gradients_as_by_differences(
      [&](const std::vector<at::Tensor>& in) {
        q_->lora_A = in[1], q_->lora_B = in[2], v_->lora_A = in[3], v_->lora_B = in[4];
        return at::cat(project(in[0], linears()), -1);
      },
      {x_, q_->lora_A, q_->lora_B, v_->lora_A, v_->lora_B});
}

TEST_F(Projection, GivesGradientsOfOutputsThatAreUsed) {
  reference()[2].sum().backward();
  auto right = take_gradients();
  project(x_, linears())[2].sum().backward();
  auto own = take_gradients();
  for (size_t i : {0, 3, 4}) expect_near(own[i], right[i]);
  EXPECT_TRUE(!own[1].defined() || own[1].abs().max().item<double>() == 0);
}

TEST_F(Projection, BackwardAloneIsTheSame) {
  std::vector<at::Tensor> outputs = project(x_, linears()), grads;
  for (const auto& y : outputs) grads.push_back(random(y.sizes()));
  at::Tensor loss =
      (outputs[0] * grads[0]).sum() + (outputs[1] * grads[1]).sum() + (outputs[2] * grads[2]).sum();
  loss.backward();
  auto right = take_gradients();
  expect_near(project_backward(x_.detach(), linears(), grads, true), right[0]);
  auto own = take_gradients();
  for (size_t i = 1; i < right.size(); ++i) expect_near(own[i], right[i]);
  EXPECT_FALSE(project_backward(x_.detach(), linears(), grads, false).defined());
}

TEST_F(Projection, TrainsAWeightThatRequiresGradients) {
  k_->weight.requires_grad_(true);
  EXPECT_FALSE(k_->is_frozen());
  loss_of(reference()).backward();
  at::Tensor right = k_->weight.grad().clone();
  k_->weight.mutable_grad().reset();
  loss_of(project(x_, linears())).backward();
  expect_near(k_->weight.grad(), right);
}

TEST_F(Projection, RecordsNothingForAnAdapterThatIsNotTrained) {
  for (at::Tensor* p : {&q_->lora_A, &q_->lora_B, &v_->lora_A, &v_->lora_B}) {
    p->requires_grad_(false);
  }
  EXPECT_FALSE(project(x_.detach(), linears())[0].requires_grad());
}

}  // namespace
}  // namespace longspan
