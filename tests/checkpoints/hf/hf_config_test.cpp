#include "checkpoints/hf/hf_config.h"

#include <gmock/gmock.h>

#include "checkpoints/model_source.h"
#include "src/attention/focused_memory.h"
#include "src/model/family.h"
#include "tests/checkpoints/hf/hf_config_fixtures.h"

namespace longspan {
namespace {

using testing::HasSubstr;

TEST(HfConfig, ReadsTheShape) {
  ModelConfig config = read_hf_config(small_config(), "config.json");
  EXPECT_EQ(config.head_dim, 8);
  EXPECT_EQ(config.num_key_value_heads, 1);
  EXPECT_EQ(config.rope_theta, 100000.0);
  EXPECT_EQ(config.rope_scaling->rope_type(), "default");
  EXPECT_FALSE(config.tie_word_embeddings);
}

TEST(HfConfig, ReadsOneOrManyEndTokens) {
  auto ends = [](const Json& eos) {
    return read_hf_config(with(small_config(), {{"eos_token_id", eos}}), "").eos_token_ids;
  };
  EXPECT_EQ(ends(2), (std::vector<int64_t>{2}));
  EXPECT_EQ(ends({2, 5}), (std::vector<int64_t>{2, 5}));
  EXPECT_TRUE(ends(nullptr).empty());
}

TEST(HfConfig, KeepsKeysItDoesNotKnow) {
  Json json = write_hf_config(read_hf_config(small_config(), ""), at::kFloat);
  EXPECT_EQ(json["my_own_key"], Json({{"a", 1}}));
  EXPECT_EQ(json["architectures"], Json::array({"LlamaForCausalLM"}));
}

TEST(HfConfig, LeavesOutThePythonFilesThatAreNotCopied) {
  Json json = with(small_config(), {{"auto_map", {{"AutoConfig", "configuration_x.XConfig"}}}});
  EXPECT_FALSE(write_hf_config(read_hf_config(json, ""), at::kFloat).contains("auto_map"));
}

TEST(HfConfig, ListsAllThatIsWrongAtOnce) {
  Json json =
      with(small_config(), {{"vocab_size", "many"}, {"hidden_act", "gelu"}, {"hidden_size", -3}});
  json.erase("intermediate_size");
  std::string message = refused(json);
  EXPECT_THAT(message, HasSubstr("vocab_size"));
  EXPECT_THAT(message, HasSubstr("hidden_act"));
  EXPECT_THAT(message, HasSubstr("hidden_size"));
  EXPECT_THAT(message, HasSubstr("intermediate_size: is missing"));
}

TEST(HfConfig, RefusesWhatItWouldComputeWrongly) {
  auto changed = [](const Json& changes) { return refused(with(small_config(), changes)); };
  EXPECT_THAT(changed({{"num_key_value_heads", 2}}), HasSubstr("does not divide"));
  EXPECT_THAT(changed({{"head_dim", 7}}), HasSubstr("odd"));
  EXPECT_THAT(changed({{"partial_rotary_factor", 0.5}}), HasSubstr("partial_rotary_factor"));
  EXPECT_THAT(changed({{"sliding_window", 4096}}), HasSubstr("sliding_window"));
  EXPECT_THAT(changed({{"quantization_config", {{"bits", 4}}}}), HasSubstr("quantised"));
  EXPECT_THAT(changed({{"rope_scaling", {{"rope_type", "yarm"}, {"factor", 2.0}}}}),
              HasSubstr("did you mean 'yarn'"));
  EXPECT_THAT(refused(Json::array()), HasSubstr("no map"));
}

TEST(HfConfig, RefusesFamiliesItDoesNotKnow) {
  EXPECT_THAT(refused(with(small_config(), {{"model_type", "gpt5"}})),
              HasSubstr("expected one of llama, mistral"));
}

TEST(HfConfig, ComesBackTheSameInEveryFamily) {
  for (const auto& family : model_types()) {
    if (family == "longllama") continue;  // golden_longllama_test.cpp
    SCOPED_TRACE(family);
    Json given = family_config(family, {{"my_own_key", 1}});
    Json written = write_hf_config(read_hf_config(given, ""), at::kBFloat16);
    for (const auto& [key, value] : given.items()) {
      if (key == "rope_parameters") continue;
      EXPECT_EQ(written[key], value) << key;
    }
    Json again = write_hf_config(read_hf_config(written, ""), at::kBFloat16);
    EXPECT_EQ(nlohmann::json(again), nlohmann::json(written));
  }
}

TEST(HfConfig, WritesFocusedMemoryAsLongLlamaDoesAndSaysWhatItsCodeLacks) {
  FocusedMemoryOptions options;
  options.mem_layers = {1};
  options.lengths = {.window = 64, .last_context = 32};
  options.mem_dtype = MemDtype::kInt4;
  auto written = [&](int64_t key_value_heads) {
    ModelConfig config =
        read_hf_config(with(small_config(), {{"num_key_value_heads", key_value_heads}}), "");
    config.attention = std::make_shared<FocusedMemoryAttention>(options);
    testing::internal::CaptureStderr();
    const Json json = write_hf_config(config, at::kFloat);
    return std::pair{json, testing::internal::GetCapturedStderr()};
  };
  const auto [json, said] = written(1);
  EXPECT_EQ(json["model_type"], "longllama");
  EXPECT_EQ(json["max_position_embeddings"], 64);
  EXPECT_EQ(json["last_context_length"], 32);
  EXPECT_EQ(json["mem_layers"], Json({1}));
  EXPECT_EQ(json["mem_dtype"], "bfloat16");
  EXPECT_THAT(said, HasSubstr("no grouped-query attention (1 key and value heads for 3 heads)"));
  EXPECT_EQ(written(3).second, "");
}

TEST(HfConfig, AModelWithMemoryKeepsItsBiases) {
  const Json biased = {{"model_type", "longllama"}, {"attention_bias", true}, {"mlp_bias", true}};
  const ModelConfig config = read_hf_config(with(small_config(), biased), "");
  EXPECT_TRUE(config.decoder.qkv_bias && config.decoder.o_bias && config.decoder.mlp_bias);
  EXPECT_EQ(write_hf_config(config, at::kFloat)["attention_bias"], true);
}

}  // namespace
}  // namespace longspan
