#include "checkpoints/hf/hf_rope.h"

#include <gmock/gmock.h>

#include <cmath>

#include "src/model/context_length.h"
#include "tests/checkpoints/hf/hf_config_fixtures.h"

namespace longspan {
namespace {

using testing::HasSubstr;

TEST(HfRope, ReadsBothRopeStylesAlike) {
  Json legacy = with(small_config(), {{"max_position_embeddings", 16384}, {"rope_scaling", kYarn}});
  Json modern =
      with(small_config(), {{"max_position_embeddings", 16384},
                            {"rope_parameters", with(kYarn, {{"rope_theta", 100000.0}})}});
  modern.erase("rope_theta");
  for (const Json& json : {legacy, modern}) {
    ModelConfig config = read_hf_config(json, "config.json");
    EXPECT_EQ(config.rope_scaling->rope_type(), "yarn");
    EXPECT_EQ(config.rope_theta, 100000.0);
    EXPECT_EQ(config.rope_geometry().max_position_embeddings, 8192);
  }
  legacy["rope_parameters"] = modern["rope_parameters"];
  EXPECT_EQ(read_hf_config(legacy, "config.json").rope_scaling->factor(), 2.0);
}

TEST(HfRope, RefusesStylesThatContradictEachOther) {
  Json both = with(small_config(),
                   {{"rope_scaling", kYarn}, {"rope_parameters", with(kYarn, {{"factor", 4.0}})}});
  EXPECT_THAT(refused(both), HasSubstr("contradicts"));
  Json theta =
      with(small_config(), {{"rope_parameters", {{"rope_theta", 1e6}, {"rope_type", "default"}}}});
  EXPECT_THAT(refused(theta), HasSubstr("contradicts"));
}

TEST(HfRope, WritesBothStylesAndReadsThemBack) {
  ModelConfig config = read_hf_config(
      with(small_config(), {{"max_position_embeddings", 16384}, {"rope_scaling", kYarn}}), "");
  Json json = write_hf_config(config, at::kBFloat16);
  EXPECT_EQ(json["rope_theta"], 100000.0);
  EXPECT_EQ(json["rope_scaling"]["rope_type"], "yarn");
  EXPECT_EQ(json["rope_scaling"]["original_max_position_embeddings"], 8192);
  EXPECT_FALSE(json["rope_scaling"].contains("rope_theta"));
  EXPECT_EQ(json["rope_parameters"]["rope_theta"], 100000.0);
  EXPECT_EQ(json["rope_parameters"]["factor"], 2.0);
  EXPECT_EQ(json["original_max_position_embeddings"], 8192);
  EXPECT_EQ(json["max_position_embeddings"], 16384);
  EXPECT_EQ(json["dtype"], "bfloat16");
  EXPECT_EQ(json["torch_dtype"], "bfloat16");
  ModelConfig again = read_hf_config(json, "");
  // nlohmann::json compares without regard to the order of keys.
  EXPECT_EQ(nlohmann::json(write_hf_config(again, at::kBFloat16)), nlohmann::json(json));
}

TEST(HfRope, WritesNoRopeScalingForAnUnscaledModel) {
  Json scaled = with(small_config(), {{"rope_scaling", kYarn}});
  ModelConfig config = read_hf_config(scaled, "");
  config.rope_scaling = make_rope_scaling("default");
  Json json = write_hf_config(config, at::kFloat);
  EXPECT_FALSE(json.contains("rope_scaling"));
  EXPECT_FALSE(json.contains("original_max_position_embeddings"));
  EXPECT_EQ(json["rope_parameters"], Json({{"rope_theta", 100000.0}, {"rope_type", "default"}}));
}

TEST(HfRope, StatesNtkAsALargerTheta) {
  ModelConfig config = read_hf_config(small_config(), "");
  Json keys = {{"rope_type", "ntk"}, {"factor", 4.0}};
  Diagnostics diagnostics;
  config.rope_scaling = read_rope_scaling(Fields(keys, diagnostics));
  ModelConfig again = read_hf_config(write_hf_config(config, at::kFloat), "");
  EXPECT_EQ(again.rope_scaling->rope_type(), "default");
  EXPECT_NEAR(again.rope_theta, 100000.0 * std::pow(4.0, 8.0 / 6.0), 1e-6);
}

TEST(HfRope, ReadsAndWritesRopeByLayerType) {
  ModelConfig config = read_hf_config(family_config("gemma3_text"), "");
  EXPECT_EQ(config.rope_scaling->rope_type(), "linear");
  EXPECT_EQ(config.rope_theta, 1e6);
  EXPECT_EQ(config.decoder.local_rope->rope_scaling->rope_type(), "default");
  EXPECT_EQ(config.decoder.local_rope->rope_theta, 1e4);
  Json json = write_hf_config(config, at::kFloat);
  EXPECT_EQ(json["rope_parameters"]["full_attention"]["factor"], 2.0);
  EXPECT_EQ(json["rope_parameters"]["sliding_attention"]["rope_theta"], 1e4);
  EXPECT_EQ(json["rope_scaling"]["factor"], 2.0);
  EXPECT_EQ(json["rope_local_base_freq"], 1e4);
}

TEST(HfRope, ReadsTheOlderKeysOfALocalRope) {
  Json json =
      family_config("gemma3_text", {{"rope_theta", 5e5},
                                    {"rope_local_base_freq", 2e4},
                                    {"rope_scaling", {{"rope_type", "linear"}, {"factor", 8.0}}}});
  json.erase("rope_parameters");
  ModelConfig config = read_hf_config(json, "");
  EXPECT_EQ(config.rope_theta, 5e5);
  EXPECT_EQ(config.rope_scaling->factor(), 8.0);
  EXPECT_EQ(config.decoder.local_rope->rope_theta, 2e4);
  EXPECT_EQ(config.decoder.local_rope->rope_scaling->rope_type(), "default");
}

TEST(HfRope, RefusesRopeByLayerTypeWhereAFamilyHasOne) {
  Json by_layer_type = family_config("gemma3_text")["rope_parameters"];
  EXPECT_THAT(refused(family_config("qwen2", {{"rope_parameters", by_layer_type}})),
              HasSubstr("one RoPE for all layers"));
  EXPECT_THAT(
      refused(family_config("gemma3_text", {{"rope_parameters", {{"rope_type", "default"}}}})),
      HasSubstr("one for full_attention"));
}

TEST(HfRope, StatesAnyScalingOfPhi3AsLongRope) {
  ModelConfig config = read_hf_config(family_config("phi3"), "");
  for (const Json& keys : {kYarn, Json{{"rope_type", "linear"}, {"factor", 3.0}}}) {
    Diagnostics diagnostics;
    config.rope_scaling = read_rope_scaling(Fields(keys, diagnostics));
    config.original_max_position_embeddings = 4096;
    config.max_position_embeddings = std::llround(4096 * config.rope_scaling->factor());
    Json json = write_hf_config(config, at::kFloat);
    EXPECT_EQ(json["rope_parameters"]["rope_type"], "longrope");
    ModelConfig again = read_hf_config(json, "");
    for (int64_t seq_len : {10, 100000}) {
      RopeFrequencies ours = config.rope_scaling->frequencies(config.rope_geometry(), seq_len);
      RopeFrequencies theirs = again.rope_scaling->frequencies(again.rope_geometry(), seq_len);
      ASSERT_EQ(ours.inv_freq.size(), theirs.inv_freq.size());
      for (size_t i = 0; i < ours.inv_freq.size(); ++i) {
        EXPECT_NEAR(ours.inv_freq[i], theirs.inv_freq[i], 1e-12);
      }
      EXPECT_EQ(ours.attention_factor, theirs.attention_factor);
    }
    if (keys["rope_type"] == "linear") {  // kYarn states an original length of its own
      EXPECT_EQ(context_length(again).original, 4096);
      EXPECT_EQ(context_length(again).usable, 3 * 4096);
    }
  }
  Json dynamic = {{"rope_type", "dynamic"}, {"factor", 2.0}};
  Diagnostics diagnostics;
  config.rope_scaling = read_rope_scaling(Fields(dynamic, diagnostics));
  EXPECT_THAT(error_of([&] { write_hf_config(config, at::kFloat); }), HasSubstr("longrope"));
}

/// As Phi3Config does.
TEST(HfRope, ReadsYarnOfPhi3AsLongRope) {
  Json json = family_config("phi3");
  for (const char* key : {"type", "rope_type"}) {
    json["rope_parameters"].erase("rope_type");
    json["rope_parameters"].erase("type");
    json["rope_parameters"][key] = "yarn";
    EXPECT_EQ(read_hf_config(json, "").rope_scaling->rope_type(), "longrope") << key;
  }
}

TEST(HfRope, RefusesToStateRopeThatTransformersDoesNotRead) {
  const auto refused_to_write = [](ModelConfig config, const Json& keys) {
    Diagnostics diagnostics;
    config.rope_scaling = read_rope_scaling(Fields(keys, diagnostics));
    diagnostics.throw_if_any(ExitCode::kModel);
    return error_of([&] { write_hf_config(config, at::kFloat); });
  };
  const ModelConfig phi = read_hf_config(family_config("phi3"), "");
  Json longrope = family_config("phi3")["rope_parameters"];
  for (const char* key : {"rope_theta", "partial_rotary_factor"}) longrope.erase(key);
  longrope["factor"] = 2.0;
  longrope["short_mscale"] = 1.1;
  longrope["long_mscale"] = 1.3;
  EXPECT_THAT(refused_to_write(phi, longrope), HasSubstr("short_mscale 1.1 and long_mscale 1.3"));
  const ModelConfig gemma = read_hf_config(family_config("gemma3_text"), "");
  EXPECT_THAT(refused_to_write(gemma, {{"rope_type", "yarn"}, {"factor", 4}, {"truncate", false}}),
              HasSubstr("truncate: false is not read by transformers"));
}

/// transformers reads neither there: not from the map of a layer type, not from the root.
TEST(HfRope, LeavesOutWhatIsNotReadOfRopeByLayerType) {
  Json json = family_config("gemma3_text");
  json["original_max_position_embeddings"] = 16;
  json["rope_parameters"]["full_attention"] = {
      {"rope_type", "yarn"}, {"rope_theta", 1e6}, {"factor", 4.0}, {"truncate", false}};
  const ModelConfig config = read_hf_config(json, "");
  EXPECT_EQ(config.rope_scaling->write()["truncate"], true);
  EXPECT_EQ(context_length(config).original, config.max_position_embeddings);
}

TEST(HfRope, StatesPhi3sLongRopeInTheThreeKeysThatTransformers4Takes) {
  Json json = write_hf_config(read_hf_config(family_config("phi3"), ""), at::kFloat);
  Json three = {{"type", "longrope"}, {"short_factor", {1.0, 1.5}}, {"long_factor", {1.0, 4.0}}};
  EXPECT_EQ(json["rope_scaling"], three);
  EXPECT_EQ(read_hf_config(json, "").rope_scaling->factor(), 2.0);
  Json older = json;
  older.erase("rope_parameters");
  EXPECT_EQ(write_hf_config(read_hf_config(older, ""), at::kFloat)["rope_parameters"],
            json["rope_parameters"]);

  // Another factor than that of the lengths, or another attention factor, takes a key more.
  for (const char* key : {"factor", "attention_factor"}) {
    Json longrope = family_config("phi3")["rope_parameters"];
    longrope[key] = 3.0;
    json = write_hf_config(
        read_hf_config(family_config("phi3", {{"rope_parameters", longrope}}), ""), at::kFloat);
    EXPECT_EQ(json["rope_scaling"][key], 3.0);
    EXPECT_EQ(json["rope_scaling"]["rope_type"], "longrope");
  }
}

TEST(HfRope, KeepsThePartOfAHeadThatTurns) {
  Json longrope = {{"rope_type", "longrope"},
                   {"short_factor", {1.0}},
                   {"long_factor", {2.0}},
                   {"partial_rotary_factor", 0.5}};
  Json json = write_hf_config(
      read_hf_config(family_config("phi3", {{"rope_parameters", longrope}}), ""), at::kFloat);
  EXPECT_EQ(json["rope_parameters"]["partial_rotary_factor"], 0.5);
  EXPECT_EQ(json["partial_rotary_factor"], 0.5);  // for transformers 4
  EXPECT_EQ(read_hf_config(json, "").rope_geometry().head_dim, 2);
}

Json linear_by(double factor, int64_t max_position_embeddings, const Json& changes = {}) {
  Json config = with(small_config(), {{"max_position_embeddings", max_position_embeddings},
                                      {"rope_scaling", {{"type", "linear"}, {"factor", factor}}}});
  return changes.is_null() ? config : with(config, changes);
}

TEST(HfRope, ReadsWhichEndOfALinearScalingMaxPositionEmbeddingsIs) {
  auto original = [](const Json& config) {
    return read_hf_config(config, "").original_max_position_embeddings;
  };
  EXPECT_EQ(original(linear_by(8, 4096)), 4096);  // no model was trained with 512
  EXPECT_EQ(original(linear_by(3, 8192)), 8192);  // nor with 2,730.67
  EXPECT_EQ(original(linear_by(4, 16384)), std::nullopt);
  // Vicuna-1.5-16K's key, and the one that says it.
  EXPECT_EQ(original(linear_by(2, 4096, {{"max_sequence_length", 8192}})), 4096);
  for (int64_t stated : {2048, 4096}) {
    Json key = {{"original_max_position_embeddings", stated}};
    EXPECT_EQ(original(linear_by(2, 4096, key)), stated);
    Json scaling = with({{"type", "linear"}, {"factor", 2.0}}, key);
    EXPECT_EQ(original(linear_by(2, 4096, {{"rope_scaling", scaling}})), stated);
  }
  EXPECT_EQ(original(with(small_config(), {{"original_max_position_embeddings", 64}})),
            std::nullopt);
}

TEST(HfRope, TheSpellingSaysWhichEndOfALinearScalingAShortModelStates) {
  auto original = [](const char* style, const char* type, double factor) {
    Json config = with(small_config(), {{"max_position_embeddings", 64},
                                        {"head_dim", 16},
                                        {style, {{type, "linear"}, {"factor", factor}}}});
    return read_hf_config(config, "").original_max_position_embeddings;
  };
  EXPECT_EQ(original("rope_scaling", "type", 2), 64);
  EXPECT_EQ(original("rope_scaling", "rope_type", 2), 32);
  EXPECT_EQ(original("rope_parameters", "rope_type", 2), 32);
  EXPECT_EQ(original("rope_parameters", "rope_type", 8), 64);  // 8 tokens are less than a head has
}

TEST(HfRope, WritesTheOriginalLengthOfALinearScaling) {
  ModelConfig config = read_hf_config(linear_by(8, 4096), "");
  Json json = write_hf_config(config, at::kFloat);
  EXPECT_EQ(json["original_max_position_embeddings"], 4096);
  EXPECT_EQ(json["rope_parameters"].count("original_max_position_embeddings"), 0);
  config.max_position_embeddings = 32768;
  json = write_hf_config(config, at::kFloat);
  EXPECT_EQ(read_hf_config(json, "").original_max_position_embeddings, 4096);
}

TEST(HfRope, WarnsOfKeysThatTheScalingDoesNotKnow) {
  Json yarn = with(kYarn, {{"attn_factor", 0.88}, {"extrapolation_factor", 1.0}});
  testing::internal::CaptureStderr();
  ModelConfig config =
      read_hf_config(with(small_config(), {{"rope_scaling", yarn}}), "odd/config.json");
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("odd/config.json: rope_scaling: RoPE yarn has no attn_factor, "
                        "extrapolation_factor; left out, as transformers does"));
  EXPECT_EQ(config.rope_scaling->factor(), 2.0);
  // transformers' logits are those without the keys.
  ModelConfig plain = read_hf_config(with(small_config(), {{"rope_scaling", kYarn}}), "");
  EXPECT_EQ(config.rope_scaling->write(), plain.rope_scaling->write());
}

}  // namespace
}  // namespace longspan
