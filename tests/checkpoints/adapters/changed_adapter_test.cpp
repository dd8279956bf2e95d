#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/matmul.h>
#include <gmock/gmock.h>

#include "checkpoints/adapters/adapted_model.h"
#include "checkpoints/adapters/merge.h"
#include "checkpoints/adapters/merge_verification.h"
#include "checkpoints/hf/hf_importer.h"
#include "tests/checkpoints/adapters/adapter_folder.h"
#include "tests/support/largest.h"

// What PEFT saves of a vocabulary that changed, of chosen tokens and of tied modules.

namespace longspan {
namespace {

using testing::HasSubstr;

/// The adapter's files with these tensors besides, or in place of others, and keys of its config.
class ChangedAdapterFolder : public PeftAdapterFolder {
 protected:
  PeftAdapter read_with(const std::vector<std::pair<std::string, at::Tensor>>& tensors,
                        const Json& keys) {
    PeftAdapter adapter = trained({});
    for (const auto& [name, tensor] : tensors) adapter.tensors[name] = tensor;
    fs::create_directories(adapter_);
    write_peft_adapter(adapter_, adapter);
    Json json = read_json_file(adapter_ / "adapter_config.json", ExitCode::kModel);
    json.update(keys);
    write_json_file(adapter_ / "adapter_config.json", json);
    return read_peft_adapter(adapter_);
  }

  at::Tensor merged(const PeftAdapter& adapter, const char* name) {
    return merged_source(*source_, adapter)->tensor(name);
  }

  std::unique_ptr<ModelSource> source_ = open_model_source(base_);
  at::Tensor embed_tokens_ = source_->tensor("model.embed_tokens.weight");
};

// The names and the shares of tied weights are those of PEFT 0.21.2's save_pretrained.
TEST_F(ChangedAdapterFolder, TakesTheVocabularyThatPeftSavesThreeTimes) {
  for (int64_t rows : {embed_tokens_.size(0) - 5, embed_tokens_.size(0) + 3}) {
    at::Tensor saved = at::randn({rows, embed_tokens_.size(1)});
    at::Tensor original = at::randn({rows, embed_tokens_.size(1)});
    PeftAdapter adapter = read_with({{"model.embed_tokens.weight", saved},
                                     {"model.embed_tokens.modules_to_save.weight", saved},
                                     {"model.embed_tokens.original_module.weight", original},
                                     {"lm_head.weight", original}},
                                    Json::object());
    ModelConfig config = adapted_config(*source_, adapter);
    EXPECT_EQ(config.vocab_size, rows);
    EXPECT_FALSE(config.tie_word_embeddings);
    EXPECT_TRUE(at::equal(merged(adapter, "model.embed_tokens.weight"), saved));
    EXPECT_TRUE(at::equal(merged(adapter, "lm_head.weight"), original));
    EXPECT_EQ(import_adapted_model(*source_, adapter, {.dtype = at::kFloat})->config().vocab_size,
              rows);
  }
}

TEST_F(ChangedAdapterFolder, ReplacesTheRowsOfTrainableTokens) {
  at::Tensor rows = at::randn({2, embed_tokens_.size(1)});
  PeftAdapter adapter =
      read_with({{"model.embed_tokens.token_adapter.trainable_tokens_delta", rows}},
                {{"trainable_token_indices", {3, 7}}});
  EXPECT_TRUE(adapted_config(*source_, adapter).tie_word_embeddings);  // lm_head follows
  at::Tensor expected = embed_tokens_.clone();
  expected[3] = rows[0];
  expected[7] = rows[1];
  EXPECT_TRUE(at::equal(merged(adapter, "model.embed_tokens.weight"), expected));

  const char* kHead = "lm_head.token_adapter.trainable_tokens_delta";
  adapter = read_with(
      {{"model.embed_tokens.token_adapter.trainable_tokens_delta", rows},
       {kHead, rows.narrow(0, 0, 1)}},
      {{"trainable_token_indices", {{"embed_tokens", {3, 7}}, {"lm_head", Json::array({5})}}}});
  EXPECT_FALSE(adapted_config(*source_, adapter).tie_word_embeddings);
  at::Tensor head = embed_tokens_.clone();
  head[5] = rows[0];
  EXPECT_TRUE(at::equal(merged(adapter, "lm_head.weight"), head));
  EXPECT_TRUE(at::equal(merged(adapter, "model.embed_tokens.weight"), expected));
}

TEST_F(ChangedAdapterFolder, ReadsTrainableTokensAlone) {
  at::Tensor rows = at::randn({1, embed_tokens_.size(1)});
  fs::create_directories(adapter_);
  write_safetensors(adapter_ / "adapter_model.safetensors",
                    {{"base_model.model.model.embed_tokens.trainable_tokens_delta", rows}});
  write_json_file(adapter_ / "adapter_config.json", {{"peft_type", "TRAINABLE_TOKENS"},
                                                     {"token_indices", Json::array({4})},
                                                     {"target_modules", "embed_tokens"}});
  PeftAdapter adapter = read_peft_adapter(adapter_);
  EXPECT_TRUE(at::equal(merged(adapter, "model.embed_tokens.weight")[4], rows[0]));
}

TEST_F(ChangedAdapterFolder, RefusesRowsThatNoIndexNames) {
  at::Tensor rows = at::randn({2, embed_tokens_.size(1)});
  const char* kName = "model.embed_tokens.token_adapter.trainable_tokens_delta";
  for (const Json& indices :
       {Json(), Json::array({3}), Json::array({3, -1}), Json{{"lm_head", {3, 7}}}}) {
    EXPECT_THAT(error_of([&] {
                  read_with({{kName, rows}}, {{"trainable_token_indices", indices}});
                }),
                HasSubstr("does not name the rows of 'model.embed_tokens.trainable_tokens_delta'"))
        << indices;
  }
  PeftAdapter adapter = read_with({{kName, rows}}, {{"trainable_token_indices", {3, 1000}}});
  EXPECT_THAT(error_of([&] { merged(adapter, "model.embed_tokens.weight"); }),
              HasSubstr("up to id 1000"));
}

TEST_F(ChangedAdapterFolder, TakesLoraOfTheTiedModuleToo) {
  at::Tensor a = at::randn({2, embed_tokens_.size(1)}), b = at::randn({embed_tokens_.size(0), 2});
  const std::vector<std::pair<std::string, at::Tensor>> tensors = {
      {"model.embed_tokens.lora_embedding_A", b.t().contiguous()},
      {"model.embed_tokens.lora_embedding_B", a.t().contiguous()},
      {"lm_head.lora_A.weight", a},
      {"lm_head.lora_B.weight", b}};
  const Json targets{"q_proj", "o_proj", "embed_tokens"};
  EXPECT_THAT(error_of([&] {
                read_with(tensors, {{"target_modules", targets}});
              }),
              HasSubstr("leaves out the module of tensor 'lm_head.lora_A.weight'"));
  read_with(tensors, {{"target_modules", targets}, {"ensure_weight_tying", true}});
}

// V = W + scale (B A)^T; PEFT 0.21's DoraEmbeddingLayer takes the norm of each column of V.
TEST_F(ChangedAdapterFolder, TakesDoraOfTheEmbeddings) {
  const int64_t rows = embed_tokens_.size(0), columns = embed_tokens_.size(1);
  at::Tensor a = at::randn({2, rows}), b = at::randn({columns, 2});
  at::Tensor magnitude = at::randn({columns}).abs() + 0.5;
  const std::string prefix = "base_model.model.model.embed_tokens.lora_";
  std::vector<std::pair<std::string, at::Tensor>> tensors = {{prefix + "embedding_A", a},
                                                             {prefix + "embedding_B", b}};
  const auto read = [&] {
    fs::create_directories(adapter_);
    write_safetensors(adapter_ / "adapter_model.safetensors", tensors);
    write_json_file(adapter_ / "adapter_config.json", {{"peft_type", "LORA"},
                                                       {"r", 2},
                                                       {"lora_alpha", 3},
                                                       {"use_dora", true},
                                                       {"target_modules", {"embed_tokens"}}});
    return read_peft_adapter(adapter_);
  };
  EXPECT_THAT(error_of([&] { merged(read(), "model.embed_tokens.weight"); }),
              HasSubstr("lacks its lora_magnitude_vector"));

  tensors.emplace_back(prefix + "magnitude_vector", magnitude);
  PeftAdapter adapter = read();
  at::Tensor v = embed_tokens_.to(at::kDouble) + at::matmul(b, a).t().to(at::kDouble) * 1.5;
  at::Tensor expected = v * (magnitude.to(at::kDouble) / v.norm(2, 0));
  EXPECT_LT(largest_difference(merged(adapter, "model.embed_tokens.weight"), expected),
            float32_bound(expected, rows));
  EXPECT_TRUE(at::equal(merged(adapter, "lm_head.weight"), embed_tokens_));
  merge(*source_, adapter, 1 << 30);
  EXPECT_EQ(verify_merge(*source_, adapter, *open_model_source(out_)).adapted, 1);
  auto model = import_adapted_model(*source_, adapter, {.dtype = at::kFloat});
  auto exported = import_model(*open_model_source(out_), {.dtype = at::kFloat});
  EXPECT_TRUE(at::equal(logits_of(*model), logits_of(*exported)));

  tensors.back().second = at::randn({rows});
  EXPECT_THAT(error_of([&] { merged(read(), "model.embed_tokens.weight"); }),
              HasSubstr("'model.embed_tokens' is"));
}

// PEFT 0.21 warns and takes it for false: it is of modules that hold their weights transposed.
TEST_F(ChangedAdapterFolder, PassesOverFanInFanOut) {
  const PeftAdapter plain = read_with({}, Json::object());
  const PeftAdapter marked = read_with({}, {{"fan_in_fan_out", true}});
  const char* kName = "model.layers.0.self_attn.q_proj.weight";
  EXPECT_EQ(marked.tensors.size(), plain.tensors.size());
  EXPECT_FALSE(at::equal(merged(marked, kName), source_->tensor(kName)));
}

TEST_F(ChangedAdapterFolder, KeepsTheRopeOfTheBaseWhereItsConfigStatesNone) {
  read_with({}, Json::object());
  write_json_file(adapter_ / "config.json",
                  {{"model_type", "gemma3"}, {"text_config", {{"rope_theta", 5.0}}}});
  Json base = read_json_file(base_ / "config.json", ExitCode::kModel);
  base["rope_theta"] = 54321.0;
  base["rope_parameters"]["rope_theta"] = 54321.0;
  write_json_file(base_ / "config.json", base);
  const ModelConfig adapted =
      adapted_config(*open_model_source(base_), read_peft_adapter(adapter_));
  EXPECT_EQ(adapted.rope_theta, 54321.0);
  EXPECT_EQ(adapted.max_position_embeddings, base["max_position_embeddings"]);
}

TEST_F(ChangedAdapterFolder, WarnsOfAnotherChatTemplateThanTheBases) {
  write_json_file(base_ / "tokenizer_config.json",
                  {{"chat_template", "old"}, {"eos_token", {{"content", "</s>"}}}});
  const PeftAdapter adapter = read_with({}, Json::object());
  const auto warnings = [&](const Json& own) {
    write_json_file(adapter_ / "tokenizer_config.json", own);
    testing::internal::CaptureStderr();
    merged_source(*open_model_source(base_), adapter)->side_files();
    return testing::internal::GetCapturedStderr();
  };
  EXPECT_EQ(warnings({{"chat_template", "old"}, {"eos_token", "</s>"}}), "");
  EXPECT_THAT(warnings({{"chat_template", "new"}, {"eos_token", "</s>"}}),
              HasSubstr("its tokenizer has another chat_template than the base's"));
  EXPECT_THAT(warnings({{"eos_token", "<|im_end|>"}}), HasSubstr("another eos_token"));
}

TEST_F(ChangedAdapterFolder, TakesContextAndRopeAloneOfAQuantisedBasesConfig) {
  read_with({}, Json::object());
  Json config = read_json_file(adapter_ / "config.json", ExitCode::kModel);
  config["quantization_config"] = {{"quant_method", "bitsandbytes"}, {"load_in_4bit", true}};
  config["vocab_size"] = 12345;
  write_json_file(adapter_ / "config.json", config);
  PeftAdapter adapter = read_peft_adapter(adapter_);
  ModelConfig adapted = adapted_config(*source_, adapter);
  EXPECT_EQ(adapted.max_position_embeddings, 128);
  EXPECT_EQ(adapted.rope_scaling->rope_type(), "yarn");
  EXPECT_EQ(adapted.vocab_size, embed_tokens_.size(0));
  EXPECT_EQ(import_adapted_model(*source_, adapter, {})->config().rope_scaling->factor(), 2.0);
}

}  // namespace
}  // namespace longspan
