#include "checkpoints/gguf/gguf_exporter.h"

#include <ATen/ops/equal.h>
#include <gmock/gmock.h>

#include <map>

#include "checkpoints/gguf/gguf_config.h"
#include "checkpoints/gguf/gguf_source.h"
#include "checkpoints/hf/hf_config.h"
#include "checkpoints/hf/hf_source.h"
#include "checkpoints/sentencepiece/sentencepiece_json.h"
#include "tests/checkpoints/model_folder.h"
#include "tests/checkpoints/temporary_folder.h"

namespace longspan {
namespace {

using testing::HasSubstr;
using testing::Not;

class Exported : public testing::Test {
 protected:
  Exported() {
    auto model = random_model(tiny_llama_config());
    write_model_folder(folder_.path() / "model", *model);
    source_ = std::make_unique<HfSource>(folder_.path() / "model");
    config_ = read_hf_config(*source_);
  }
  GgufSource exported(const char* type) {
    export_gguf(*source_, config_, out_, find_gguf_file_type(type, ""));
    return GgufSource(out_);
  }

  TemporaryFolder folder_;
  std::unique_ptr<HfSource> source_;
  ModelConfig config_;
  std::filesystem::path out_ = folder_.path() / "out.gguf";
};

TEST_F(Exported, ComesBackWithEqualTensorsAndConfig) {
  GgufSource back = exported("F32");
  ASSERT_EQ(back.tensors().size(), source_->tensors().size());
  for (const auto& info : source_->tensors()) {
    EXPECT_TRUE(at::equal(back.tensor(info.name), source_->tensor(info.name))) << info.name;
  }
  ModelConfig config = read_hf_config(back);
  EXPECT_EQ(config.head_dim, config_.head_dim);
  EXPECT_EQ(config.num_key_value_heads, config_.num_key_value_heads);
  EXPECT_EQ(config.rms_norm_eps, config_.rms_norm_eps);
  EXPECT_EQ(config.rope_theta, config_.rope_theta);
  EXPECT_EQ(config.tie_word_embeddings, config_.tie_word_embeddings);
}

TEST_F(Exported, CarriesAUnigramVocabularyThereAndBack) {
  const Json vocab = Json::parse(
      R"([["<unk>", 0], ["</s>", 0], ["\u2581", -2.5], ["a", -3.25], ["\u2581a", -1.5]])");
  Json tokenizer = {
      {"added_tokens", {{{"id", 1}, {"content", "</s>"}, {"special", true}}}},
      {"normalizer",
       {{"type", "Sequence"},
        {"normalizers",
         {{{"type", "Prepend"}, {"prepend", "\u2581"}},
          {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "\u2581"}}}}}},
      {"model", {{"type", "Unigram"}, {"unk_id", 0}, {"vocab", vocab}, {"byte_fallback", false}}}};
  folder_.write("model/tokenizer.json", tokenizer.dump());
  GgufSource back = exported("F32");
  Json json = tokenizer_json_file(back.tokenizer_json(), "back");
  EXPECT_EQ(json["model"]["type"], "Unigram");
  EXPECT_EQ(json["model"]["unk_id"], 0);
  EXPECT_EQ(json["model"]["vocab"][4], Json::array({"\u2581a", -1.5}));
  EXPECT_EQ(json["model"]["vocab"].size(), 5u);  // not the rows that the embeddings have to spare
  EXPECT_EQ(json["added_tokens"][0]["content"], "<unk>");
  EXPECT_EQ(json["added_tokens"][1]["content"], "</s>");
  EXPECT_EQ(nlohmann::json(json["normalizer"]), nlohmann::json(tokenizer["normalizer"]));
}

TEST_F(Exported, CarriesAllEndsOfAText) {
  folder_.write("model/tokenizer.json", R"({"model": {"type": "BPE", "vocab": {"a": 0, "b": 1},
      "merges": []}, "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false}})");
  folder_.write("model/generation_config.json", R"({"eos_token_id": [2, 5, 7]})");
  config_.eos_token_ids = {2};
  EXPECT_EQ(exported("F32").config_json()["eos_token_id"], Json::array({2, 5, 7}));
}

TEST_F(Exported, NamesTheEndsThatFindNoPlaceAndLeavesThoseOfTurnsToTheirNames) {
  folder_.write("model/tokenizer.json", R"({"model": {"type": "BPE", "vocab": {"a": 0, "b": 1,
      "c": 2, "d": 3, "<|eot_id|>": 4}, "merges": []},
      "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false}})");
  config_.eos_token_ids = {0};
  auto carried = [&](const Json& ends) {
    folder_.write("model/generation_config.json", Json{{"eos_token_id", ends}}.dump());
    testing::internal::CaptureStderr();
    Json back = exported("F32").config_json()["eos_token_id"];
    return std::pair(back, testing::internal::GetCapturedStderr());
  };
  auto [all, silent] = carried({0, 4, 1, 2});
  EXPECT_EQ(all, Json::array({0, 1, 2, 4}));
  EXPECT_THAT(silent, Not(HasSubstr("ends of a text")));
  auto [some, warning] = carried({0, 1, 2, 3});
  EXPECT_EQ(some, Json::array({0, 1, 2, 4}));
  EXPECT_THAT(warning, HasSubstr("states 3 ends of a text; llama.cpp will not end one at d"));
}

// The keys are those of gguf-py 0.19's add_chat_template, the files those of transformers 5.23.
TEST_F(Exported, CarriesChatTemplatesByName) {
  folder_.write("model/tokenizer.json", R"({"model": {"type": "BPE", "vocab": {"a": 0},
      "merges": []}, "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false}})");
  folder_.write("model/tokenizer_config.json",
                R"({"chat_template": [{"name": "default", "template": "one"},
                                      {"name": "tool use", "template": "two"}]})");
  auto carried = [&] {
    std::map<std::string, std::string> files;
    for (auto& [name, content] : exported("F32").side_files()) files[name] = content;
    return files;
  };
  auto files = carried();
  EXPECT_EQ(files["chat_template.jinja"], "one");
  EXPECT_EQ(files["additional_chat_templates/tool_use.jinja"], "two");
  EXPECT_FALSE(Json::parse(files["tokenizer_config.json"]).contains("chat_template"));
  folder_.write("model/chat_template.jinja", "three");  // goes before tokenizer_config.json
  files = carried();
  EXPECT_EQ(Json::parse(files["tokenizer_config.json"])["chat_template"], "three");
  EXPECT_FALSE(files.contains("additional_chat_templates/tool_use.jinja"));
}

TEST_F(Exported, RefusesLengthsThatAGgufCannotState) {
  config_.max_position_embeddings = int64_t{1} << 32;
  EXPECT_THAT(error_of([&] { exported("F32"); }),
              HasSubstr("llama.context_length: 4294967296 has no place in a GGUF"));
}

TEST_F(Exported, CarriesEachFixedRopeScaling) {
  auto freqs = [](const ModelConfig& config) {
    return config.rope_scaling->frequencies(config.rope_geometry(), 100);
  };
  for (const char* text :
       {R"({"rope_type": "linear", "factor": 4})", R"({"rope_type": "ntk", "factor": 4})",
        R"({"rope_type": "yarn", "factor": 4, "original_max_position_embeddings": 16})",
        R"({"rope_type": "yarn", "factor": 4, "original_max_position_embeddings": 16,
            "beta_fast": 8, "attention_factor": 1.5})",
        R"({"rope_type": "llama3", "factor": 4, "low_freq_factor": 1, "high_freq_factor": 4,
            "original_max_position_embeddings": 16})"}) {
    Json scaling = Json::parse(text);
    Diagnostics diagnostics;
    config_.rope_scaling = read_rope_scaling(Fields(scaling, diagnostics));
    ASSERT_TRUE(diagnostics.empty());
    RopeFrequencies before = freqs(config_);
    RopeFrequencies after = freqs(read_hf_config(exported("F32")));
    EXPECT_NEAR(after.attention_factor, before.attention_factor, 1e-6) << text;
    for (size_t i = 0; i < before.inv_freq.size(); ++i) {
      EXPECT_NEAR(after.inv_freq[i], before.inv_freq[i], 1e-6 * before.inv_freq[i]) << text;
    }
  }
}

TEST_F(Exported, KeepsTheSlidingWindowThatLlamaCppLeavesOut) {
  Json json = source_->config_json();
  json["model_type"] = "mistral";
  json["sliding_window"] = 16;
  config_ = read_hf_config(json, "mistral");
  ModelConfig back = read_hf_config(exported("F32"));
  EXPECT_EQ(back.model_type, "mistral");
  EXPECT_EQ(back.layer(0).sliding_window, 16);
}

TEST_F(Exported, WarnsThatLlamaCppReadsALongLlamaWithoutItsMemory) {
  Json json = source_->config_json();
  json.update({{"model_type", "longllama"},
               {"mem_layers", {1}},
               {"max_position_embeddings", 32},
               {"last_context_length", 16}});
  config_ = read_hf_config(json, "longllama");
  testing::internal::CaptureStderr();
  GgufSource back = exported("F32");
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("llama.cpp has no focused memory: it will read the model as a plain LLaMA "
                        "of 32 tokens"));
  const ModelConfig config = read_hf_config(back);
  EXPECT_EQ(config.model_type, "llama");
  EXPECT_EQ(config.attention, nullptr);
  EXPECT_EQ(config.max_position_embeddings, 32);
  for (const auto& info : source_->tensors()) {
    EXPECT_TRUE(at::equal(back.tensor(info.name), source_->tensor(info.name))) << info.name;
  }
}

TEST_F(Exported, RefusesMemoryLayersWithoutRope) {
  Json json = source_->config_json();
  json.update({{"model_type", "longllama"},
               {"mem_layers", {1}},
               {"mem_positionals", false},
               {"last_context_length", 16}});
  config_ = read_hf_config(json, "longllama");
  EXPECT_THAT(error_of([&] { exported("F32"); }), HasSubstr("layer 1 has no RoPE, and llama.cpp"));
  EXPECT_FALSE(std::filesystem::exists(out_));
}

TEST_F(Exported, RefusesWhatLlamaCppCannotComputeAndLeavesNoFile) {
  Json dynamic = {{"rope_type", "dynamic"}, {"factor", 4.0}};
  Diagnostics diagnostics;
  config_.rope_scaling = read_rope_scaling(Fields(dynamic, diagnostics));
  EXPECT_THAT(error_of([&] { exported("F32"); }), HasSubstr("take rope_type ntk"));
  EXPECT_FALSE(std::filesystem::exists(out_));
}

TEST_F(Exported, RefusesWeightsThatAreNotFinite) {
  auto model = random_model(tiny_llama_config());
  model->visit_parameters("", [](const std::string& name, at::Tensor& parameter) {
    if (name == "model.norm.weight") parameter.fill_(NAN);
  });
  write_model_folder(folder_.path() / "broken", *model);
  HfSource broken(folder_.path() / "broken");
  auto write = [&] { export_gguf(broken, config_, out_, find_gguf_file_type("F16", "")); };
  EXPECT_THAT(error_of(write), HasSubstr("'model.norm.weight' holds NaN"));
  EXPECT_FALSE(std::filesystem::exists(out_));
}

TEST(GgufConfig, TakesTheScaleOfGemma3sScoresThatLlamaCppHas) {
  auto refused = [](int64_t layers, double query_pre_attn_scalar) {
    Json json = {{"model_type", "gemma3_text"}, {"vocab_size", 262208},
                 {"hidden_size", 5376},         {"intermediate_size", 21504},
                 {"num_hidden_layers", layers}, {"num_attention_heads", 32},
                 {"num_key_value_heads", 16},   {"head_dim", 128},
                 {"rms_norm_eps", 1e-6},        {"query_pre_attn_scalar", query_pre_attn_scalar},
                 {"tie_word_embeddings", true}, {"sliding_window", 1024}};
    ModelConfig config = read_hf_config(json, "config.json");
    GgufMetadata metadata;
    return error_of(
        [&] { write_gguf_config(config, *gguf_architecture_of("gemma3_text"), metadata); });
  };
  EXPECT_EQ(refused(62, 168), "no error");  // the 27B: hidden_size over heads
  EXPECT_THAT(refused(62, 128), HasSubstr("query_pre_attn_scalar to be 168 (it is 128)"));
  EXPECT_EQ(refused(34, 128), "no error");
  EXPECT_THAT(refused(34, 168), HasSubstr("query_pre_attn_scalar to be 128 (it is 168)"));
}

TEST_F(Exported, TakesTheTypeOfTheSourcesWeights) {
  EXPECT_EQ(gguf_file_type_of(*source_).name, "F32");
  exported("BF16");
  EXPECT_EQ(gguf_file_type_of(GgufSource(out_)).name, "BF16");
}

}  // namespace
}  // namespace longspan
