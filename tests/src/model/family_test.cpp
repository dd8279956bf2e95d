#include "src/model/family.h"

#include <gmock/gmock.h>

#include <functional>

#include "src/model/causal_lm.h"
#include "tests/support/errors.h"

namespace longspan {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// A config.json of 4 layers that says nothing more than its sizes, and what `changes` says.
Json config_json(const Json& changes) {
  Json json = {{"vocab_size", 48},       {"hidden_size", 16},        {"intermediate_size", 24},
               {"num_hidden_layers", 4}, {"num_attention_heads", 4}, {"num_key_value_heads", 2}};
  json.update(changes);
  return json;
}

ModelConfig read(std::string_view model_type, const Json& changes = Json::object(),
                 std::vector<std::string> without = {}) {
  ModelConfig config;
  config.source = config_json(changes);
  for (const auto& key : without) config.source.erase(key);
  Json json = config.source;
  Diagnostics diagnostics;
  Fields fields(json, diagnostics);
  config.model_type = model_type;
  family_of(model_type).read(fields, config);
  diagnostics.throw_if_any(ExitCode::kModel);
  return config;
}

std::string refused(std::string_view model_type, const Json& changes) {
  return error_of([&] { read(model_type, changes); }, ExitCode::kModel);
}

std::vector<int64_t> windows(const ModelConfig& config) {
  std::vector<int64_t> windows;
  for (int64_t i = 0; i < config.num_hidden_layers; ++i) {
    windows.push_back(config.layer(i).sliding_window);
  }
  return windows;
}

std::vector<int> ropes(const ModelConfig& config) {
  std::vector<int> ropes;
  for (int64_t i = 0; i < config.num_hidden_layers; ++i) {
    ropes.push_back(static_cast<int>(config.layer(i).rope));
  }
  return ropes;
}

TEST(Families, TakeTransformersDefaultsForAbsentKeys) {
  struct Defaults {
    const char* model_type;
    int64_t num_key_value_heads, head_dim, max_position_embeddings;
    double rms_norm_eps, rope_theta;
    bool tied;
  };
  for (const Defaults& expected : {Defaults{"llama", 32, 4, 2048, 1e-6, 1e4, false},
                                   Defaults{"mistral", 8, 4, 131072, 1e-6, 1e4, false},
                                   Defaults{"qwen2", 32, 4, 32768, 1e-6, 1e4, false},
                                   Defaults{"qwen3", 32, 128, 32768, 1e-6, 1e4, false},
                                   Defaults{"smollm3", 4, 4, 32768, 1e-6, 2e6, true},
                                   Defaults{"phi3", 32, 4, 4096, 1e-5, 1e4, false},
                                   Defaults{"gemma3_text", 4, 256, 131072, 1e-6, 1e6, true}}) {
    SCOPED_TRACE(expected.model_type);
    ModelConfig config =
        read(expected.model_type, {{"num_attention_heads", 32}, {"hidden_size", 128}},
             {"num_key_value_heads"});
    EXPECT_EQ(config.num_key_value_heads, expected.num_key_value_heads);
    EXPECT_EQ(config.head_dim, expected.head_dim);
    EXPECT_EQ(config.max_position_embeddings, expected.max_position_embeddings);
    EXPECT_EQ(config.rms_norm_eps, expected.rms_norm_eps);
    EXPECT_EQ(config.rope_theta, expected.rope_theta);
    EXPECT_EQ(config.tie_word_embeddings, expected.tied);
  }
}

TEST(Families, ReadNullHeadsAsAsManyAsQueryHeads) {
  EXPECT_EQ(read("mistral", {{"num_key_value_heads", nullptr}}).num_key_value_heads, 4);
}

TEST(Families, RefuseLayerCountsThatNoFileHolds) {
  for (const auto& model_type : model_types()) {
    for (int64_t layers : {int64_t{-3}, int64_t{0}, int64_t{1} << 30}) {
      EXPECT_THAT(refused(model_type, {{"num_hidden_layers", layers}}),
                  HasSubstr("num_hidden_layers"));
    }
  }
}

TEST(Llama, PutsABiasOnAllOfAttentionOrOfTheMlp) {
  ModelConfig config = read("llama", {{"attention_bias", true}});
  EXPECT_TRUE(config.decoder.qkv_bias && config.decoder.o_bias && !config.decoder.mlp_bias);
  EXPECT_TRUE(read("llama", {{"mlp_bias", true}}).decoder.mlp_bias);
}

TEST(Mistral, TellsAnAbsentWindowFromNone) {
  EXPECT_THAT(windows(read("mistral")), ElementsAre(4096, 4096, 4096, 4096));
  EXPECT_THAT(windows(read("mistral", {{"sliding_window", nullptr}})), ElementsAre(0, 0, 0, 0));
  EXPECT_THAT(windows(read("mistral", {{"sliding_window", 7}})), ElementsAre(7, 7, 7, 7));
}

TEST(Mistral, SlidesInTheLayersThatLayerTypesNames) {
  std::string full = "full_attention", sliding = "sliding_attention";
  Json ministral = {{"sliding_window", 7}, {"layer_types", {full, sliding, sliding, full}}};
  EXPECT_THAT(windows(read("mistral", ministral)), ElementsAre(0, 7, 7, 0));
}

TEST(Qwen, SlidesFromMaxWindowLayersOnWhenToldTo) {
  Json window = {{"sliding_window", 9}, {"max_window_layers", 2}};
  EXPECT_THAT(windows(read("qwen2", window)), ElementsAre(0, 0, 0, 0));
  window["use_sliding_window"] = true;
  EXPECT_THAT(windows(read("qwen2", window)), ElementsAre(0, 0, 9, 9));
  EXPECT_THAT(windows(read("qwen3", window)), ElementsAre(0, 0, 9, 9));
  std::string full = "full_attention", sliding = "sliding_attention";
  window["layer_types"] = {sliding, full, full, sliding};
  EXPECT_THAT(windows(read("qwen2", window)), ElementsAre(9, 0, 0, 9));
  window["use_sliding_window"] = false;
  EXPECT_THAT(refused("qwen2", window), HasSubstr("sliding_window: is missing"));
}

TEST(Qwen, RefusesLayerTypesThatDoNotFit) {
  EXPECT_THAT(refused("qwen2", {{"layer_types", Json::array({"full_attention"})}}),
              HasSubstr("has 1 entries for 4 layers"));
  std::string full = "full_attention";
  EXPECT_THAT(refused("qwen2", {{"layer_types", {full, full, full, "chunked_attention"}}}),
              HasSubstr("'chunked_attention' is not supported"));
}

TEST(SmolLm3, LeavesRopeOutOfEveryFourthLayer) {
  constexpr int kRope = static_cast<int>(LayerOptions::Rope::kGlobal);
  constexpr int kNope = static_cast<int>(LayerOptions::Rope::kNone);
  EXPECT_THAT(ropes(read("smollm3")), ElementsAre(kRope, kRope, kRope, kNope));
  EXPECT_THAT(ropes(read("smollm3", {{"no_rope_layer_interval", 2}})),
              ElementsAre(kRope, kNope, kRope, kNope));
  EXPECT_THAT(ropes(read("smollm3", {{"no_rope_layers", {0, 1, 1, 0}}})),
              ElementsAre(kNope, kRope, kRope, kNope));
  EXPECT_THAT(refused("smollm3", {{"no_rope_layers", {0, 1, 1}}}),
              HasSubstr("has 3 entries for 4 layers"));
  EXPECT_THAT(windows(read("smollm3", {{"use_sliding_window", true}, {"sliding_window", 8}})),
              ElementsAre(0, 0, 0, 8));
}

TEST(Phi3, TurnsAPartOfEachHead) {
  ModelConfig config = read("phi3", {{"head_dim", 8}, {"partial_rotary_factor", 0.75}});
  EXPECT_EQ(config.rope_geometry().head_dim, 6);
  config = read("phi3", {{"head_dim", 8}, {"rope_parameters", {{"partial_rotary_factor", 0.5}}}});
  EXPECT_EQ(config.rope_geometry().head_dim, 4);
  EXPECT_THAT(refused("phi3", {{"head_dim", 8}, {"partial_rotary_factor", 0.4}}),
              HasSubstr("is odd"));
}

TEST(Gemma3, SlidesInFiveOfSixLayersWithALocalRope) {
  ModelConfig config = read("gemma3_text", {{"num_hidden_layers", 7}, {"sliding_window", 5}});
  EXPECT_THAT(windows(config), ElementsAre(5, 5, 5, 5, 5, 0, 5));
  EXPECT_EQ(config.layer(0).rope, LayerOptions::Rope::kLocal);
  EXPECT_EQ(config.layer(5).rope, LayerOptions::Rope::kGlobal);
}

TEST(Gemma3, RefusesWhatItWouldComputeWrongly) {
  EXPECT_THAT(refused("gemma3_text", {{"final_logit_softcapping", 30.0}}),
              HasSubstr("soft-capping"));
  EXPECT_THAT(refused("gemma3_text", {{"use_bidirectional_attention", true}}),
              HasSubstr("use_bidirectional_attention"));
}

/// Names of the parameters of a layer, from the front.
std::vector<std::string> layer_names(const ModelConfig& config) {
  std::vector<std::string> names;
  make_causal_lm(config)->visit_parameters("", [&](const std::string& name, at::Tensor&) {
    const std::string prefix = "model.layers.0.";
    if (name.starts_with(prefix)) names.push_back(name.substr(prefix.size()));
  });
  return names;
}

TEST(Families, NameTheirParametersAsHuggingFaceDoes) {
  EXPECT_THAT(
      layer_names(read("qwen3")),
      ElementsAre("self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight",
                  "self_attn.o_proj.weight", "self_attn.q_norm.weight", "self_attn.k_norm.weight",
                  "mlp.gate_proj.weight", "mlp.up_proj.weight", "mlp.down_proj.weight",
                  "input_layernorm.weight", "post_attention_layernorm.weight"));
  EXPECT_THAT(layer_names(read("phi3")),
              ElementsAre("self_attn.qkv_proj.weight", "self_attn.o_proj.weight",
                          "mlp.gate_up_proj.weight", "mlp.down_proj.weight",
                          "input_layernorm.weight", "post_attention_layernorm.weight"));
  EXPECT_THAT(layer_names(read("qwen2")),
              testing::IsSupersetOf({"self_attn.q_proj.bias", "self_attn.v_proj.bias"}));
  EXPECT_THAT(layer_names(read("gemma3_text")),
              testing::IsSupersetOf(
                  {"pre_feedforward_layernorm.weight", "post_feedforward_layernorm.weight"}));
}

}  // namespace
}  // namespace longspan
