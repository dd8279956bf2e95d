#include "src/nn/lora_linear.h"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>

#include "tests/support/float32_bound.h"

namespace longspan {
namespace {

void randomise(Linear& linear) {
  at::manual_seed(11);
  linear.weight = at::randn({5, 12});
  linear.bias = at::randn({5});
}

constexpr int64_t kTerms = 12 + 12 + 3;  // of a base's output, and of its adapter's

TEST(LoraLinear, StartsAsItsBase) {
  Linear base(12, 5, true);
  randomise(base);
  LoraLinear lora(base, {.r = 3});
  at::Tensor x = at::randn({2, 4, 12});
  EXPECT_TRUE(at::equal(lora.forward(x), base.forward(x)));
  EXPECT_LE(lora.lora_A.abs().max().item<double>(), 1 / std::sqrt(12.0));
  EXPECT_GT(lora.lora_A.abs().max().item<double>(), 0.5 / std::sqrt(12.0));
}

TEST(LoraLinear, ComputesWhatItsMergedWeightComputes) {
  Linear base(12, 5, true);
  randomise(base);
  LoraLinear lora(base, {.r = 3, .lora_alpha = 6});
  lora.lora_B = at::randn({5, 3});
  at::Tensor x = at::randn({2, 4, 12});
  at::Tensor merged = at::linear(x, lora.merged_weight(), lora.bias);
  EXPECT_LT(largest(lora.forward(x) - merged), float32_bound(merged, kTerms));
  EXPECT_GT((lora.forward(x) - base.forward(x)).abs().max().item<double>(), 0.1);
}

/// DoRA on a base with a bias, with B and m moved from their start.
std::unique_ptr<LoraLinear> trained_dora() {
  Linear base(12, 5, true);
  randomise(base);
  auto dora =
      std::make_unique<LoraLinear>(base, LoraOptions{.r = 3, .lora_alpha = 6, .use_dora = true});
  dora->lora_B = at::randn({5, 3});
  dora->lora_magnitude_vector = dora->lora_magnitude_vector + at::randn({5});
  return dora;
}

TEST(Dora, StartsAsItsBase) {
  Linear base(12, 5, true);
  randomise(base);
  LoraLinear dora(base, {.r = 3, .use_dora = true});
  at::Tensor x = at::randn({2, 4, 12});
  EXPECT_LT(largest(dora.forward(x) - base.forward(x)), float32_bound(base.forward(x), kTerms));
}

TEST(Dora, ComputesWhatItsMergedWeightComputes) {
  auto dora = trained_dora();
  at::Tensor x = at::randn({2, 4, 12});
  at::Tensor merged = at::linear(x, dora->merged_weight(), dora->bias);
  EXPECT_LT(largest(dora->forward(x) - merged), float32_bound(merged, kTerms));
  at::Tensor norms = dora->merged_weight().square().sum(1).sqrt();
  EXPECT_LT(largest(norms - dora->lora_magnitude_vector.abs()), float32_bound(norms, kTerms));
}

TEST(Dora, TakesTheNormAsAConstantInBackward) {
  // y = (m / n) (x V^T) + b for V = W + 2 B A, with n fixed: the gradients of sum(y^2) / 2.
  auto dora = trained_dora();
  at::Tensor a = dora->lora_A, b = dora->lora_B, m = dora->lora_magnitude_vector;
  at::Tensor x = at::randn({7, 12});
  at::Tensor v = lora_weight(dora->weight, a, b, {}, 2.0);
  at::Tensor n = v.square().sum(1).sqrt();
  for (at::Tensor* trained : {&dora->lora_A, &dora->lora_B, &dora->lora_magnitude_vector}) {
    trained->requires_grad_(true);
  }
  at::Tensor y = dora->forward(x);
  (y.square().sum() / 2).backward();
  at::Tensor dy = y.detach();
  at::Tensor dv = (dy * (m / n)).t().matmul(x);  // [out, in]
  auto near = [](const at::Tensor& actual, const at::Tensor& expected) {
    return largest(actual - expected) < float32_bound(expected, 3 * 12);
  };
  EXPECT_TRUE(near(dora->lora_magnitude_vector.grad(), (dy * at::linear(x, v) / n).sum(0)));
  EXPECT_TRUE(near(dora->lora_B.grad(), dv.matmul(a.t()) * 2));
  EXPECT_TRUE(near(dora->lora_A.grad(), b.t().matmul(dv) * 2));
}

TEST(Dora, UntrainedMergesToItsBaseBitForBit) {
  at::manual_seed(4);
  for (at::ScalarType dtype : {at::kBFloat16, at::kHalf, at::kFloat}) {
    Linear base(96, 600, false);
    base.weight = at::randn({600, 96}).to(dtype);
    const LoraLinear dora(base, {.r = 3, .use_dora = true});
    EXPECT_EQ(dora.lora_magnitude_vector.scalar_type(), at::kFloat);
    EXPECT_TRUE(at::equal(dora.merged_weight(), base.weight)) << dtype;
  }
}

TEST(Dora, SumsTheGradientOfTheMagnitudeInFloat32) {
  Linear base(1, 1, false);
  base.weight = at::ones({1, 1}, at::kBFloat16);
  LoraLinear dora(base, {.r = 1, .use_dora = true});
  dora.lora_magnitude_vector.requires_grad_(true);
  dora.forward(at::ones({4000, 1}, at::kBFloat16)).sum(at::kFloat).backward();
  EXPECT_EQ(dora.lora_magnitude_vector.grad().item<float>(), 4000);
}

TEST(Dora, OnQuantisedWeightsKeepsNoDenseOne) {
  Linear base(64, 64, true);
  base.weight = at::randn({64, 64});
  base.bias = at::randn({64});
  base.quantized = quantize_weight(base.weight, Quantization::kNf4);
  base.weight.reset();
  LoraLinear dora(base, {.r = 3, .use_dora = true});
  dora.lora_B = at::randn({64, 3});
  dora.lora_magnitude_vector = (dora.lora_magnitude_vector * 1.5).requires_grad_(true);
  const at::Tensor x = at::randn({7, 64}), weight = dora.merged_weight();
  const at::Tensor expected = at::linear(x, weight, base.bias);
  EXPECT_LT(largest(dora.forward(x) - expected), float32_bound(expected, 64 + 3));
}

TEST(Dora, DropsTheInputOfTheTurnedPartAsPeftDoes) {
  // PEFT 0.21, dora.py: y = W x + (g - 1) W D(x) + g scale B A D(x) + b for g = m / |V|.
  Linear base(12, 5, true);
  randomise(base);
  const LoraOptions options{.r = 3, .lora_alpha = 6, .lora_dropout = 0.5, .use_dora = true};
  LoraLinear dora(base, options, /*projection=*/4);
  dora.lora_B = at::randn({5, 3});
  dora.lora_magnitude_vector = dora.lora_magnitude_vector + at::randn({5});
  const at::Tensor x = at::randn({2, 4, 12});
  const at::Tensor whole = dora.forward(x);
  const DropoutPass pass(1, 2);
  const at::Tensor dropped = LoraDropout(0.5, 4).apply(x, *dropout_place(x));
  const at::Tensor v = lora_weight(dora.weight, dora.lora_A, dora.lora_B, {}, 2.0);
  const at::Tensor g = dora.lora_magnitude_vector / v.square().sum(1).sqrt();
  const at::Tensor low_rank = at::linear(at::linear(dropped, dora.lora_A), dora.lora_B) * 2.0;
  const at::Tensor expected = at::linear(x, dora.weight) +
                              (g - 1) * at::linear(dropped, dora.weight) + g * low_rank + dora.bias;
  EXPECT_LT(largest(dora.forward(x) - expected), float32_bound(expected, 3 * 12));
  EXPECT_GT(largest(dora.forward(x) - whole), 0.1);
}

TEST(Dora, DropsOnQuantisedWeightsAsOnDenseOnes) {
  const LoraOptions options{.r = 3, .lora_dropout = 0.5, .use_dora = true};
  Linear base(64, 64, true);
  base.weight = at::randn({64, 64});
  base.bias = at::randn({64});
  base.quantized = quantize_weight(base.weight, Quantization::kNf4);
  base.weight.reset();
  LoraLinear quantised(base, options, /*projection=*/4);
  base.weight = quantised.dense_weight().clone();
  base.quantized.reset();
  LoraLinear dense(base, options, /*projection=*/4);
  dense.weight.requires_grad_(true);  // by LibTorch's own products
  quantised.lora_B = at::randn({64, 3});
  dense.lora_A = quantised.lora_A;
  dense.lora_B = quantised.lora_B;
  const at::Tensor x = at::randn({2, 7, 64}), along = at::randn({2, 7, 64});
  const DropoutPass pass(1, 2);
  const auto gradient = [&](const LoraLinear& linear) {
    const at::Tensor input = x.clone().requires_grad_(true);
    (linear.forward(input) * along).sum().backward();
    return input.grad();
  };
  const at::Tensor output = dense.forward(x), input_gradient = gradient(dense);
  EXPECT_LT(largest(quantised.forward(x) - output), float32_bound(output, 64 + 3));
  EXPECT_LT(largest(gradient(quantised) - input_gradient), float32_bound(input_gradient, 64 + 3));
}

TEST(LoraOptions, TargetsAListOfNamesOrAText) {
  const auto targets = [](const std::string& pattern, const char* module) {
    LoraOptions options;
    options.target_pattern = pattern;
    return options.targets(module);
  };
  EXPECT_TRUE(targets("", "model.layers.0.self_attn.q_proj"));
  EXPECT_FALSE(targets("", "model.layers.0.mlp.up_proj"));
  EXPECT_TRUE(targets("all-linear", "model.layers.0.mlp.up_proj"));
  EXPECT_FALSE(targets("all-linear", "lm_head"));
  // PEFT matches the whole name.
  EXPECT_TRUE(targets(".*\\.[01]\\..*(q|up)_proj", "model.layers.1.mlp.up_proj"));
  EXPECT_FALSE(targets(".*\\.[01]\\..*(q|up)_proj", "model.layers.2.mlp.up_proj"));
  EXPECT_FALSE(targets("q_proj", "model.layers.0.self_attn.q_proj"));
}

TEST(LoraOptions, ScaleByRankOrItsRoot) {
  EXPECT_DOUBLE_EQ((LoraOptions{.r = 16, .lora_alpha = 32}).scale(), 2.0);
  EXPECT_DOUBLE_EQ((LoraOptions{.r = 16, .lora_alpha = 32, .use_rslora = true}).scale(), 8.0);
}

}  // namespace
}  // namespace longspan
