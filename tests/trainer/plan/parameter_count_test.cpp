#include "trainer/plan/parameter_count.h"

#include <gtest/gtest.h>

#include "src/model/apply_lora.h"
#include "tests/support/tiny_llama.h"
#include "trainer/optimizer/adamw.h"

namespace longspan {
namespace {

TEST(ParameterCount, IsWhatTheOptimizerTrains) {
  LoraOptions lora{.r = 3,
                   .target_modules = {"q_proj", "down_proj"},
                   .modules_to_save = {"embed_tokens", "norm"},
                   .rank_pattern = {{"down_proj", 5}}};
  ParameterCount count = count_parameters(tiny_llama_config(), lora);
  auto model = random_model(tiny_llama_config());
  apply_lora(*model, lora);
  int64_t trained = 0, base = 0;
  AdamW optimizer(*model, {});
  for (const auto& weight : optimizer.weights()) trained += weight.master.numel();
  random_model(tiny_llama_config())->visit_parameters("", [&](const auto&, at::Tensor& p) {
    base += p.numel();
  });
  EXPECT_EQ(count.trainable(), trained);
  EXPECT_EQ(count.base, base);
  EXPECT_EQ(count.embedding, 61 * 36);
  EXPECT_EQ(count.norm, 5 * 36);
  EXPECT_EQ(count.lora, 2 * (3 * (36 + 72) + 5 * (40 + 36)));
}

TEST(ParameterCount, NamesTheKindsThatAreTrained) {
  ParameterCount count{.base = 1234567, .lora = 1000, .norm = 5};
  EXPECT_EQ(count.to_string(), "1,005 of 1,234,567 (lora 1,000, norm 5)");
}

}  // namespace
}  // namespace longspan
