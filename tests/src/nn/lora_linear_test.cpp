#include "src/nn/lora_linear.h"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <cmath>

namespace longspan {
namespace {

void randomise(Linear& linear) {
  at::manual_seed(11);
  linear.weight = at::randn({5, 12});
  linear.bias = at::randn({5});
}

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
  EXPECT_LT((lora.forward(x) - merged).abs().max().item<double>(), 1e-4);
  EXPECT_GT((lora.forward(x) - base.forward(x)).abs().max().item<double>(), 0.1);
}

TEST(LoraOptions, ScaleByRankOrItsRoot) {
  EXPECT_DOUBLE_EQ((LoraOptions{.r = 16, .lora_alpha = 32}).scale(), 2.0);
  EXPECT_DOUBLE_EQ((LoraOptions{.r = 16, .lora_alpha = 32, .use_rslora = true}).scale(), 8.0);
}

}  // namespace
}  // namespace longspan
