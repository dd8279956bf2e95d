#include "trainer/eval/logit_comparison.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>

#include "src/model/apply_lora.h"
#include "tests/support/float32_bound.h"
#include "tests/support/tiny_llama.h"

namespace longspan {
namespace {

TEST(LogitComparison, FindsNoDifferenceBetweenEqualLogits) {
  at::Tensor logits = at::randn({4, 7});
  LogitDifference d = compare_logits(logits, logits.clone());
  EXPECT_EQ(d.max_abs, 0);
  EXPECT_EQ(d.relative, 0);
  EXPECT_EQ(d.argmax_agreement, 1);
  EXPECT_EQ(d.kl, 0);
}

TEST(LogitComparison, MeasuresEachDistance) {
  // Two tokens over two ids: (1/2, 1/2) and (3/4, 1/4) become (1/4, 3/4) and stay.
  double third = std::log(3.0);
  at::Tensor a = at::tensor({0.0, 0.0, third, 0.0}).view({2, 2});
  at::Tensor b = at::tensor({0.0, third, third, 0.0}).view({2, 2});
  LogitDifference d = compare_logits(a, b);
  double kl = 0.5 * std::log(0.5 / 0.25) + 0.5 * std::log(0.5 / 0.75);
  EXPECT_NEAR(d.max_abs, third, 1e-6);
  EXPECT_NEAR(d.relative, 1.0, 1e-6);
  EXPECT_NEAR(d.argmax_agreement, 0.5, 1e-9);
  EXPECT_NEAR(d.largest_kl, kl, 1e-6);
  EXPECT_NEAR(d.kl, kl / 2, 1e-6);
}

TEST(LogitComparison, OfNaNIsNaNAndNot0) {
  at::Tensor a = at::zeros({1, 2});
  LogitDifference d = compare_logits(a, at::full({1, 2}, NAN));
  EXPECT_TRUE(std::isnan(d.kl));
  EXPECT_TRUE(std::isnan(d.largest_kl));
  EXPECT_TRUE(std::isnan(d.relative));
}

TEST(LastLogits, AreTheLastOfAllTokensRead) {
  auto model = random_model(tiny_llama_config());
  auto ids = made_ids(20, 61);
  at::Tensor all = last_logits(*model, ids, 20), last = last_logits(*model, ids, 3);
  EXPECT_EQ(all.sizes(), at::IntArrayRef({20, 61}));
  // A product of other row counts may round otherwise.
  EXPECT_LT(largest(all.narrow(0, 17, 3) - last),
            float32_bound(all, terms_of_logits(model->config(), 20)));
  EXPECT_EQ(last_logits(*model, ids, 100).size(0), 20);
}

TEST(RoundWeights, MergesLoraAndRoundsTheParametersNamed) {
  auto model = random_model(tiny_llama_config());
  apply_lora(*model,
             {.r = 2, .lora_alpha = 6, .target_modules = {"q_proj"}, .modules_to_save = {}});
  at::Tensor a, b, weight;
  model->visit_parameters("", [&](const std::string& name, at::Tensor& parameter) {
    if (name.ends_with("lora_B.weight")) parameter = at::randn(parameter.sizes());
    if (!name.starts_with("model.layers.1.self_attn.q_proj.")) return;
    (name.ends_with("lora_A.weight")   ? a
     : name.ends_with("lora_B.weight") ? b
                                       : weight) = parameter.detach();
  });
  at::Tensor expected = (weight + b.matmul(a) * 3).to(at::kBFloat16).to(at::kFloat);
  TensorTypes types;
  model->visit_parameters("", [&](const std::string& name, at::Tensor&) {
    if (!name.ends_with("norm.weight")) types[name] = "BF16";
  });
  round_weights(*model, types);
  int seen = 0;
  model->visit_parameters("", [&](const std::string& name, at::Tensor& parameter) {
    EXPECT_EQ(name.find("lora_"), std::string::npos);
    const bool rounded = at::equal(parameter, parameter.to(at::kBFloat16).to(at::kFloat));
    EXPECT_EQ(rounded, !name.ends_with("norm.weight")) << name;
    if (name != "model.layers.1.self_attn.q_proj.weight") return;
    ++seen;
    EXPECT_TRUE(at::equal(parameter, expected));
  });
  EXPECT_EQ(seen, 1);
}

at::Tensor parameter_of(CausalLm& model, const std::string& name) {
  at::Tensor found;
  model.visit_parameters("", [&](const std::string& own, at::Tensor& parameter) {
    if (own == name) found = parameter.detach();
  });
  return found;
}

// A block of 32 has a scale in half precision, which is off by 2^-11 of it at most: a step of its
// largest magnitude / 127 in Q8_0, of that / 8 in Q4_0, where -8 is a code and 8 is none.
TEST(RoundWeights, GoesThroughTheBlocksOfAGguf) {
  const std::string q = "model.layers.1.self_attn.q_proj.weight";
  const std::string o = "model.layers.1.self_attn.o_proj.weight";
  ModelConfig config = tiny_llama_config();
  config.hidden_size = 64;
  struct Format {
    const char* type;
    double codes, most_steps;
  };
  for (const auto& [type, codes, most_steps] :
       {Format{"Q8_0", 127, 0.5 + 127.0 / 2048}, Format{"Q4_0", 8, 1 + 8.0 / 2048}}) {
    auto before = random_model(config), after = random_model(config);
    round_weights(*after, {{q, type}, {o, type}});
    const at::Tensor weight = parameter_of(*before, q).view({-1, 32});
    const at::Tensor error = (parameter_of(*after, q).view({-1, 32}) - weight).abs();
    const at::Tensor step = weight.abs().amax(-1, /*keepdim=*/true) / codes;
    const double steps = (error / step).max().item<double>();
    EXPECT_LE(steps, most_steps) << type;
    EXPECT_GT(steps, 0.45) << type;
    // Rows of 72 do not divide into blocks of 32.
    EXPECT_TRUE(at::equal(parameter_of(*after, o), parameter_of(*before, o))) << type;
  }
}

TEST(RoundWeights, KnowsWhatItCanRoundTo) {
  for (const char* type : {"F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_K", "Q6_K"}) {
    EXPECT_TRUE(can_round_to(type)) << type;
  }
  for (const char* type : {"Q2_K", "MXFP4", "none", ""}) EXPECT_FALSE(can_round_to(type)) << type;
}

}  // namespace
}  // namespace longspan
