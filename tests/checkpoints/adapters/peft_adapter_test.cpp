#include "checkpoints/adapters/peft_adapter.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <gmock/gmock.h>

#include "checkpoints/adapters/adapted_model.h"
#include "checkpoints/adapters/adapter_config.h"
#include "checkpoints/hf/hf_config.h"
#include "checkpoints/hf/hf_importer.h"
#include "src/core/text.h"
#include "tests/checkpoints/adapters/adapter_folder.h"
#include "tests/support/largest.h"
#include "tests/support/places.h"

namespace longspan {
namespace {

using testing::HasSubstr;

TEST_F(PeftAdapterFolder, GivesTheLogitsOfTheTrainedModel) {
  PeftAdapter adapter = through_disk(trained());
  auto base = open_model_source(base_);
  auto model = import_adapted_model(*base, adapter, {.dtype = at::kFloat});
  EXPECT_LT(largest_difference(logits_of(*model), logits_of(*model_)), 1e-6);
  EXPECT_EQ(model->config().max_position_embeddings, 128);
}

TEST_F(PeftAdapterFolder, WritesPeftsNames) {
  through_disk(trained());
  SafetensorsReader reader(adapter_ / "adapter_model.safetensors");
  EXPECT_TRUE(reader.contains("base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight"));
  EXPECT_TRUE(reader.contains("base_model.model.model.layers.1.input_layernorm.weight"));
  EXPECT_TRUE(reader.contains("base_model.model.model.norm.weight"));
  Json json = read_json_file(adapter_ / "adapter_config.json", ExitCode::kModel);
  EXPECT_EQ(json["peft_type"], "LORA");
  EXPECT_EQ(json["task_type"], "CAUSAL_LM");
  EXPECT_EQ(json["lora_alpha"], 6.0);
  EXPECT_EQ(json["target_modules"], Json::array({"q_proj", "o_proj"}));
}

TEST_F(PeftAdapterFolder, WritesATextOfTargetsAsPeftSavesIt) {
  const auto written = [&](const std::string& pattern) {
    PeftAdapter adapter = trained();
    adapter.lora.target_pattern = pattern;
    adapter.lora.lora_dropout = 0.25;
    // And the tied head.
    EXPECT_EQ(through_disk(adapter).tensors.size(), adapter.tensors.size() + 1);
    return read_json_file(adapter_ / "adapter_config.json", ExitCode::kModel);
  };
  EXPECT_EQ(written("all-linear")["target_modules"], Json::array({"o_proj", "q_proj"}));
  EXPECT_EQ(written(".*[qo]_proj")["target_modules"], ".*[qo]_proj");
  EXPECT_EQ(written(".*[qo]_proj")["lora_dropout"], 0.25);
  // PEFT refuses an adapter on self_attn itself, or on a norm.
  for (const char* pattern : {".*self_attn.*", ".*layers.*([qo]_proj|norm)"}) {
    EXPECT_EQ(written(pattern)["target_modules"],
              Json::array({"model.layers.0.self_attn.o_proj", "model.layers.0.self_attn.q_proj",
                           "model.layers.1.self_attn.o_proj", "model.layers.1.self_attn.q_proj"}))
        << pattern;
  }
}

TEST_F(PeftAdapterFolder, SavesATiedHeadForPeftToo) {
  through_disk(trained());
  SafetensorsReader reader(adapter_ / "adapter_model.safetensors");
  EXPECT_TRUE(at::equal(reader.tensor("base_model.model.lm_head.weight"),
                        reader.tensor("base_model.model.model.embed_tokens.weight")));
  Json json = read_json_file(adapter_ / "adapter_config.json", ExitCode::kModel);
  EXPECT_EQ(json["modules_to_save"], Json::array({"embed_tokens", "norm", "lm_head"}));
  EXPECT_EQ(json["ensure_weight_tying"], true);
}

TEST_F(PeftAdapterFolder, SavesNoHeadWhenEmbeddingsAreFrozen) {
  through_disk(trained({"norm"}));
  SafetensorsReader reader(adapter_ / "adapter_model.safetensors");
  EXPECT_FALSE(reader.contains("base_model.model.lm_head.weight"));
  Json json = read_json_file(adapter_ / "adapter_config.json", ExitCode::kModel);
  EXPECT_EQ(json["modules_to_save"], Json::array({"norm"}));
}

TEST_F(PeftAdapterFolder, MergesToTheSameLogits) {
  PeftAdapter adapter = through_disk(trained());
  merge(*open_model_source(base_), adapter, 6000);
  auto merged = open_model_source(out_);
  Json config = merged->config_json();
  EXPECT_EQ(config["rope_scaling"]["rope_type"], "yarn");
  EXPECT_EQ(config["rope_parameters"]["factor"], 2.0);
  EXPECT_EQ(config["max_position_embeddings"], 128);
  EXPECT_EQ(config["tie_word_embeddings"], true);
  EXPECT_EQ(read_json_file(out_ / "tokenizer_config.json", ExitCode::kModel)["model_max_length"],
            128);
  auto model = import_model(*merged, {.dtype = at::kFloat});
  EXPECT_LT(largest_difference(logits_of(*model), logits_of(*model_)), bound());
}

TEST_F(PeftAdapterFolder, BringsItsTokenizerWhereItAddsTokens) {
  fs::create_directories(adapter_);
  const auto with_tokens = [](const char* vocabulary) {
    return fmt::format(R"({{"model": {{"type": "BPE", "vocab": {}, "merges": []}}}})", vocabulary);
  };
  const std::string of_base = with_tokens(R"({"a": 0})");
  const std::string of_adapter = with_tokens(R"({"a": 0, "b": 1})");
  std::ofstream(base_ / "tokenizer.json") << of_base;
  auto merged = [&](const PeftAdapter& adapter, const char* file) {
    fs::remove_all(out_);
    merge(*open_model_source(base_), adapter, 1 << 30);
    return read_file(out_ / file, ExitCode::kModel);
  };
  PeftAdapter adapter = trained();
  const PeftAdapter of_its_size = through_disk(adapter);
  adapter.tensors["model.embed_tokens.weight"] = at::randn({63, 36});  // the base has 61
  const PeftAdapter larger = through_disk(adapter);
  testing::internal::CaptureStderr();
  EXPECT_EQ(merged(larger, "tokenizer.json"), of_base);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("adds the ids 61 to 62 and has"));

  std::ofstream(adapter_ / "tokenizer.json") << of_adapter;
  std::ofstream(adapter_ / "chat_template.jinja") << "its template";
  EXPECT_EQ(merged(larger, "tokenizer.json"), of_adapter);
  EXPECT_EQ(merged(larger, "chat_template.jinja"), "its template");
  EXPECT_FALSE(fs::exists(out_ / "tokenizer_config.json"));      // that is of the base's tokenizer
  EXPECT_EQ(merged(of_its_size, "tokenizer.json"), of_adapter);  // in rows that the base can spare
  std::ofstream(adapter_ / "tokenizer.json") << " " << of_base;
  EXPECT_EQ(merged(of_its_size, "tokenizer.json"), of_base);
}

TEST_F(PeftAdapterFolder, UntiesWherePeftDoes) {
  // PEFT's own: embed_tokens saved, lm_head left at the base's weight.
  PeftAdapter adapter = trained();
  auto base = open_model_source(base_);
  EXPECT_FALSE(adapter.tensors.contains("lm_head.weight"));
  ModelConfig config = adapted_config(*base, adapter);
  EXPECT_FALSE(config.tie_word_embeddings);
  auto adapted = import_adapted_model(*base, adapter, {.dtype = at::kFloat});
  EXPECT_TRUE(at::equal(adapted->lm_head_weight(), base->tensor("model.embed_tokens.weight")));
  merge(*base, adapter, 1 << 30);
  auto merged = import_model(*open_model_source(out_), {.dtype = at::kFloat});
  EXPECT_LT(largest_difference(logits_of(*merged), logits_of(*adapted)), bound());
  EXPECT_GT(largest_difference(logits_of(*merged), logits_of(*model_)), 1e-2);
}

TEST_F(PeftAdapterFolder, CarriesNtkAsALargerTheta) {
  PeftAdapter adapter = trained();
  Json keys = {{"rope_type", "ntk"}, {"factor", 4.0}};
  Diagnostics diagnostics;
  model_->set_rope_scaling(read_rope_scaling(Fields(keys, diagnostics)), 256);
  adapter.config_json = write_hf_config(model_->config(), at::kFloat);
  adapter = through_disk(adapter);
  auto live = import_adapted_model(*open_model_source(base_), adapter, {.dtype = at::kFloat});
  EXPECT_LT(largest_difference(logits_of(*live), logits_of(*model_)), bound());
  merge(*open_model_source(base_), adapter, 1 << 30);
  auto merged = import_model(*open_model_source(out_), {.dtype = at::kFloat});
  EXPECT_LT(largest_difference(logits_of(*merged), logits_of(*model_)), bound());
}

TEST_F(PeftAdapterFolder, RefusesWhatItCannotHonour) {
  through_disk(trained());
  auto changed = [&](const char* key, const Json& value) {
    Json json = read_json_file(adapter_ / "adapter_config.json", ExitCode::kModel);
    json[key] = value;
    fs::create_directories(folder_.path() / "changed");
    fs::copy(adapter_, folder_.path() / "changed",
             fs::copy_options::overwrite_existing | fs::copy_options::recursive);
    write_json_file(folder_.path() / "changed" / "adapter_config.json", json);
    return error_of([&] { read_peft_adapter(folder_.path() / "changed"); });
  };
  EXPECT_EQ(changed("layers_pattern", nullptr), "no error");
  EXPECT_EQ(changed("an_unknown_key", 7), "no error");
  EXPECT_EQ(changed("bias", "all"), "no error");
  EXPECT_EQ(changed("target_modules", ".*proj"), "no error");
  EXPECT_EQ(changed("target_modules", "All-Linear"), "no error");
  EXPECT_THAT(changed("target_parameters", {"experts.gate_up_proj"}),
              HasSubstr("target_parameters: [\"experts.gate_up_proj\"] is not supported"));
  EXPECT_THAT(changed("rank_pattern", {{"q_proj", 0}}), HasSubstr("'q_proj': 0 is no rank"));
  EXPECT_THAT(changed("alpha_pattern", {{"(", 4}}), HasSubstr("is no regular expression"));
  EXPECT_THAT(changed("bias", "some"), HasSubstr("bias: 'some' is not known"));
  EXPECT_THAT(changed("init_lora_weights", "pissa_niter_4"), HasSubstr("changes the base's"));
  EXPECT_THAT(changed("peft_type", "IA3"), HasSubstr("'IA3' is not known"));
  EXPECT_THAT(changed("r", 0), HasSubstr("out of range"));
  EXPECT_THAT(error_of([&] { read_peft_adapter(base_); }), HasSubstr("has no adapter_config.json"));
}

TEST_F(PeftAdapterFolder, RefusesTensorsThatPeftWouldNotLoad) {
  PeftAdapter adapter = through_disk(trained());
  const Json json = read_json_file(adapter_ / "adapter_config.json", ExitCode::kModel);
  const auto read = [&](const Json& changes) {
    Json changed = json;
    changed.update(changes);
    return error_of([&] { read_adapter_config(changed, "a", adapter); });
  };
  for (const Json& harmless :
       {Json{{"target_modules", ".*\\.[qo]_proj"}}, Json{{"target_modules", "all-linear"}},
        Json{{"target_modules", {"self_attn.q_proj", "self_attn.o_proj"}}},
        Json{{"layers_to_transform", {0, 1}}}, Json{{"layers_to_transform", Json::array()}},
        Json{{"layers_to_transform", {0, 1}}, {"layers_pattern", "layers"}},
        Json{{"layers_to_transform", 1},
             {"target_modules",
              {"model.layers.0.self_attn.q_proj", "model.layers.0.self_attn.o_proj", "q_proj",
               "o_proj"}}},
        Json{{"exclude_modules", {"v_proj"}}}}) {
    EXPECT_EQ(read(harmless), "no error") << harmless;
  }
  const std::string of_o_proj =
      "the module of tensor 'model.layers.0.self_attn.o_proj.lora_A.weight'";
  EXPECT_THAT(read({{"target_modules", {"q_proj"}}}), HasSubstr(of_o_proj));
  EXPECT_THAT(read({{"target_modules", ".*q_proj"}}), HasSubstr(of_o_proj));
  EXPECT_THAT(read({{"exclude_modules", ".*\\.o_proj"}}), HasSubstr("exclude_modules: "));
  EXPECT_THAT(read({{"exclude_modules", {"o_proj"}}}), HasSubstr(of_o_proj));
  EXPECT_THAT(read({{"layers_to_transform", 1}}), HasSubstr("layers_to_transform: 1 leaves out"));
  EXPECT_THAT(read({{"layers_to_transform", {0, 1}}, {"layers_pattern", "blocks"}}),
              HasSubstr("layers_to_transform: "));
  adapter.tensors[".x.lora_A.weight"] = at::randn({2, 2});
  EXPECT_THAT(read({{"target_modules", Json::array({"x"})}, {"layers_to_transform", 0}}),
              HasSubstr("the module of tensor '.x.lora_A.weight'"));
}

TEST_F(PeftAdapterFolder, TakesRankAndAlphaOfEachModule) {
  LoraOptions options{.r = 8, .lora_alpha = 16};
  options.rank_pattern = {{"layers.1.self_attn.q_proj", 2}, {"q_proj", 4}};
  options.alpha_pattern = {{".*\\.mlp\\..*", 1}};
  EXPECT_EQ(options.for_module("model.layers.0.self_attn.q_proj").r, 4);
  EXPECT_EQ(options.for_module("model.layers.1.self_attn.q_proj").r, 2);
  EXPECT_EQ(options.for_module("model.layers.1.self_attn.xq_proj").r, 8);
  EXPECT_EQ(options.for_module("model.layers.1.mlp.up_proj").lora_alpha, 1);
  EXPECT_EQ(options.for_module("model.layers.1.self_attn.o_proj").lora_alpha, 16);
}

TEST_F(PeftAdapterFolder, ReadsAdapterModelBin) {
  // Made by tests/checkpoints/reference/make_torch_checkpoint.py.
  const fs::path reference = source_folder() / "tests/checkpoints/reference";
  through_disk(trained({"norm"}));
  fs::remove(adapter_ / "adapter_model.safetensors");
  EXPECT_THAT(error_of([&] { read_peft_adapter(adapter_); }), HasSubstr("nor adapter_model.bin"));
  fs::copy(reference / "adapter_model.bin", adapter_);
  PeftAdapter adapter = read_peft_adapter(adapter_);
  EXPECT_EQ(adapter.tensors.size(), 3);
  at::Tensor counting = at::arange(72, at::kFloat) / 8 - 1;
  const std::string q_proj = "model.layers.0.self_attn.q_proj.";
  EXPECT_TRUE(at::equal(adapter.tensors.at(q_proj + "lora_A.weight"), counting.view({2, 36})));
  EXPECT_TRUE(at::equal(adapter.tensors.at("model.norm.weight"), counting.narrow(0, 0, 36)));
  merge(*open_model_source(base_), adapter, 1 << 30);

  fs::copy(reference / "state_dict.bin", adapter_ / "adapter_model.bin",
           fs::copy_options::overwrite_existing);
  EXPECT_THAT(error_of([&] { read_peft_adapter(adapter_); }), HasSubstr("is this a PEFT adapter?"));
}

TEST_F(PeftAdapterFolder, RefusesTensorsThatFitNowhere) {
  PeftAdapter adapter = trained({"norm"});
  auto base = open_model_source(base_);
  auto both = [&](const PeftAdapter& wrong) {
    return error_of([&] { import_adapted_model(*base, wrong, {.dtype = at::kFloat}); }) + "\n" +
           error_of([&] { merge(*base, wrong, 1 << 30); });
  };
  PeftAdapter wrong = adapter;
  wrong.tensors["model.layers.9.self_attn.q_proj.lora_A.weight"] = at::randn({2, 36});
  EXPECT_THAT(both(wrong), testing::ContainsRegex("layers.9.*\n(.*\n)*.*layers.9"));
  wrong = adapter;
  wrong.tensors["model.layers.0.self_attn.q_proj.lora_A.weight"] = at::randn({2, 35});
  EXPECT_THAT(both(wrong), testing::ContainsRegex("q_proj.*\n(.*\n)*.*q_proj"));
  wrong = adapter;
  wrong.tensors.erase("model.layers.0.self_attn.q_proj.lora_B.weight");
  EXPECT_THAT(both(wrong), testing::ContainsRegex("is missing\n(.*\n)*.*lacks its partner"));
  EXPECT_FALSE(fs::exists(out_));
}

}  // namespace
}  // namespace longspan
