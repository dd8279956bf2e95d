#include "checkpoints/gguf/gguf_source.h"

#include <ATen/ops/equal.h>
#include <gmock/gmock.h>

#include <cmath>
#include <numeric>

#include "checkpoints/gguf/gguf_config.h"
#include "checkpoints/hf/hf_importer.h"
#include "tests/checkpoints/gguf/gguf_file.h"

namespace longspan {
namespace {

using testing::HasSubstr;

// 6 tokens, hidden 8, 2 query heads and 1 key/value head of dimension 4.
std::vector<float> counting(size_t count, float from = 0) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), from);
  return values;
}

GgufFile llama_keys() {
  GgufFile file;
  file.set("general.architecture", "llama").set("llama.block_count", 1u);
  file.set("llama.context_length", 64u).set("llama.embedding_length", 8u);
  file.set("llama.feed_forward_length", 12u).set("llama.attention.head_count", 2u);
  file.set("llama.attention.head_count_kv", 1u).set("llama.rope.freq_base", 1e5f);
  file.set("llama.attention.layer_norm_rms_epsilon", 1e-5f);
  return file;
}

void add_tokenizer(GgufFile& file, const char* pre = "smollm", const char* model = "gpt2") {
  file.set("tokenizer.ggml.model", model).set("tokenizer.ggml.pre", pre);
  file.set("tokenizer.ggml.tokens",
           std::vector<std::string>{"<|end|>", "a", "b", "ab", "<tool>", "c"});
  file.set("tokenizer.ggml.token_type", std::vector<int32_t>{3, 1, 1, 1, 4, 1});
  file.set("tokenizer.ggml.merges", std::vector<std::string>{"a b"});
  file.set("tokenizer.ggml.bos_token_id", 0u).set("tokenizer.ggml.eos_token_id", 0u);
  file.set("tokenizer.chat_template", "{{ messages }}");
}

void add_tensors(GgufFile& file) {
  file.tensor("token_embd.weight", {8, 6}, counting(48));
  file.tensor("blk.0.attn_q.weight", {8, 8}, counting(64));
  file.tensor("blk.0.attn_k.weight", {8, 4}, counting(32));
  file.tensor("blk.0.attn_v.weight", {8, 4}, counting(32));
  file.tensor("blk.0.attn_output.weight", {8, 8}, counting(64));
  file.tensor("blk.0.attn_norm.weight", {8}, counting(8));
  file.tensor("blk.0.ffn_gate.weight", {8, 12}, counting(96));
  file.tensor("blk.0.ffn_up.weight", {8, 12}, counting(96));
  file.tensor("blk.0.ffn_down.weight", {12, 8}, counting(96));
  file.tensor("blk.0.ffn_norm.weight", {8}, counting(8));
  file.tensor("output_norm.weight", {8}, counting(8));
}

class Opened {
 public:
  explicit Opened(const GgufFile& file) : source_(folder_.write("x.gguf", file.bytes())) {}
  const GgufSource* operator->() const { return &source_; }
  const GgufSource& operator*() const { return source_; }

 private:
  TemporaryFolder folder_;
  GgufSource source_;
};

Opened small_llama(GgufFile file = llama_keys()) {
  add_tokenizer(file);
  add_tensors(file);
  return Opened(file);
}

TEST(GgufSource, StatesTheConfigInHuggingFacesWords) {
  Opened source = small_llama();
  Json config = source->config_json();
  EXPECT_EQ(config["model_type"], "llama");
  EXPECT_EQ(config["architectures"], Json::array({"LlamaForCausalLM"}));
  EXPECT_EQ(config["vocab_size"], 6);
  EXPECT_EQ(config["head_dim"], 4);
  EXPECT_EQ(config["num_key_value_heads"], 1);
  EXPECT_EQ(config["rms_norm_eps"], 1e-5);
  EXPECT_EQ(config["rope_theta"], 1e5);
  EXPECT_EQ(config["tie_word_embeddings"], true);
  EXPECT_EQ(config["eos_token_id"], 0);
  EXPECT_FALSE(config.contains("rope_scaling"));
  EXPECT_FALSE(config.contains("pad_token_id"));
}

TEST(GgufSource, LoadsAsAModel) {
  Opened source = small_llama();
  auto model = import_model(*source, {.dtype = at::kFloat});
  EXPECT_EQ(model->lm_head_weight().sizes(), at::IntArrayRef({6, 8}));
}

TEST(GgufSource, PutsTheRowsOfQueriesAndKeysBackIntoHalves) {
  Opened source = small_llama();
  // llama.cpp stores a head's rows 0, D/2, 1, D/2 + 1, ...; row r holds 8 r, 8 r + 1, ...
  auto first_column = [&](const char* name) {
    std::vector<int64_t> rows;
    at::Tensor weight = source->tensor(name);
    for (int64_t i = 0; i < weight.size(0); ++i) {
      rows.push_back(static_cast<int64_t>(weight[i][0].item<float>()) / 8);
    }
    return rows;
  };
  EXPECT_EQ(first_column("model.layers.0.self_attn.q_proj.weight"),
            (std::vector<int64_t>{0, 2, 1, 3, 4, 6, 5, 7}));
  EXPECT_EQ(first_column("model.layers.0.self_attn.k_proj.weight"),
            (std::vector<int64_t>{0, 2, 1, 3}));
  EXPECT_EQ(first_column("model.layers.0.self_attn.v_proj.weight"),
            (std::vector<int64_t>{0, 1, 2, 3}));
}

TEST(GgufSource, ReadsRopeScaling) {
  GgufFile yarn = llama_keys(), linear = llama_keys(), longrope = llama_keys();
  yarn.set("llama.rope.scaling.type", "yarn").set("llama.rope.scaling.factor", 4.f);
  yarn.set("llama.rope.scaling.original_context_length", 16u);
  Json expected = {
      {"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 16}};
  EXPECT_EQ(small_llama(yarn)->config_json()["rope_scaling"], expected);
  linear.set("llama.rope.scaling.type", "linear").set("llama.rope.scaling.factor", 2.f);
  EXPECT_EQ(small_llama(linear)->config_json()["rope_scaling"]["rope_type"], "linear");
  longrope.set("llama.rope.scaling.type", "longrope");
  EXPECT_THAT(error_of([&] { small_llama(longrope); }),
              HasSubstr("'longrope' cannot be converted"));
}

TEST(GgufSource, ReadsYarnsAttentionFactorInEitherKey) {
  // attn_factor comes on top of YaRN's own 1 + 0.1 ln 4, yarn_attn_factor stands in its place.
  GgufFile on_top = llama_keys(), instead = llama_keys();
  for (GgufFile* file : {&on_top, &instead}) {
    file->set("llama.rope.scaling.type", "yarn").set("llama.rope.scaling.factor", 4.f);
    file->set("llama.rope.scaling.original_context_length", 16u);
  }
  on_top.set("llama.rope.scaling.attn_factor", 2.f);
  instead.set("llama.rope.scaling.yarn_attn_factor", 1.5f);
  EXPECT_DOUBLE_EQ(small_llama(on_top)->config_json()["rope_scaling"]["attention_factor"],
                   2 * (1 + 0.1 * std::log(4.0)));
  EXPECT_EQ(small_llama(instead)->config_json()["rope_scaling"]["attention_factor"], 1.5);
}

TEST(GgufSource, ReadsLongropeFromItsTensors) {
  GgufFile file = llama_keys();
  file.set("llama.rope.scaling.type", "longrope");
  file.set("llama.rope.scaling.original_context_length", 16u);
  file.set("llama.rope.scaling.attn_factor", 1.5f);
  file.tensor("rope_factors_short.weight", {2}, {1, 1.5f});
  GgufFile lacks_long = file;
  file.tensor("rope_factors_long.weight", {2}, {2, 4});
  Json expected = {{"rope_type", "longrope"},  {"factor", 4.0},
                   {"short_factor", {1, 1.5}}, {"long_factor", {2, 4}},
                   {"attention_factor", 1.5},  {"original_max_position_embeddings", 16}};
  expected["short_factor"] = std::vector<double>{1, 1.5};
  expected["long_factor"] = std::vector<double>{2, 4};
  Json found = small_llama(file)->config_json()["rope_scaling"];
  for (const auto& [key, value] : expected.items()) EXPECT_EQ(found[key], value) << key;
  EXPECT_THAT(error_of([&] { small_llama(lacks_long); }), HasSubstr("twice"));
}

TEST(GgufSource, ScalesGemma3sScoresAsLlamaCppDoes) {
  auto scalar_with = [](uint32_t layers) {  // 62 are the 27B's, as are the other numbers
    GgufFile file;
    file.set("general.architecture", "gemma3").set("gemma3.block_count", layers);
    file.set("gemma3.context_length", 131072u).set("gemma3.embedding_length", 5376u);
    file.set("gemma3.feed_forward_length", 21504u).set("gemma3.attention.head_count", 32u);
    file.set("gemma3.attention.head_count_kv", 16u).set("gemma3.attention.key_length", 128u);
    file.set("gemma3.attention.layer_norm_rms_epsilon", 1e-6f);
    file.tensor("token_embd.weight", {5376, 1}, counting(5376));
    TemporaryFolder folder;
    Json config = gguf_config_json(GgufReader(folder.write("x.gguf", file.bytes())));
    return config["query_pre_attn_scalar"].get<int64_t>();
  };
  EXPECT_EQ(scalar_with(62), 168);  // hidden_size over heads
  EXPECT_EQ(scalar_with(34), 128);  // head_dim
}

/// What each of 4 frequencies of base 1e5 is divided by, under `scaling`.
std::vector<float> divisors_under(const Json& scaling) {
  Diagnostics diagnostics;
  auto rope = read_rope_scaling(Fields(scaling, diagnostics));
  RopeGeometry geometry{.head_dim = 32, .rope_theta = 1e5, .max_position_embeddings = 64};
  std::vector<double> scaled = rope->frequencies(geometry, 64).inv_freq;
  std::vector<float> divisors;
  for (size_t i = 0; i < scaled.size(); ++i) {
    divisors.push_back(static_cast<float>(unscaled_inv_freq(geometry)[i] / scaled[i]));
  }
  return divisors;
}

/// The rope_scaling of a file whose rope_freqs are `divisors`.
Json scaling_of(const std::vector<float>& divisors, std::optional<uint32_t> original = {}) {
  TemporaryFolder folder;
  GgufFile file;
  file.set("general.architecture", "llama").set("llama.rope.freq_base", 1e5f);
  if (original) file.set("llama.rope.scaling.original_context_length", *original);
  file.tensor("rope_freqs.weight", {divisors.size()}, divisors);
  GgufReader reader(folder.write("x.gguf", file.bytes()));
  RopeGeometry geometry{.head_dim = static_cast<int64_t>(divisors.size()) * 2,
                        .rope_theta = 1e5,
                        .max_position_embeddings = 64};
  return gguf_rope_scaling(reader, *find_gguf_architecture("llama"), geometry);
}

Json llama3(double factor, double low, double high, int64_t original) {
  return {{"rope_type", "llama3"},
          {"factor", factor},
          {"low_freq_factor", low},
          {"high_freq_factor", high},
          {"original_max_position_embeddings", original}};
}

TEST(GgufSource, FindsLlama3sParametersBehindItsDivisors) {
  for (const Json& scaling : {llama3(8, 1, 4, 8192), llama3(32, 1, 4, 8192),
                              llama3(4, 1, 2.5, 1000), llama3(3.5, 1, 16, 300)}) {
    EXPECT_EQ(scaling_of(divisors_under(scaling)), scaling);
  }
  // Twice of all three is the same scaling; the original length tells them apart.
  EXPECT_EQ(scaling_of(divisors_under(llama3(8, 2, 8, 8192)), 8192), llama3(8, 2, 8, 8192));
  EXPECT_EQ(scaling_of(divisors_under(llama3(8, 2, 8, 8192))), llama3(8, 1, 4, 4096));
}

TEST(GgufSource, StatesOtherDivisorsAsLinearOrLongrope) {
  EXPECT_TRUE(scaling_of({1, 1}).is_null());
  EXPECT_EQ(scaling_of({4, 4, 4}), Json({{"rope_type", "linear"}, {"factor", 4.0}}));
  Json odd = scaling_of({1, 5, 2.5f}, 16);
  EXPECT_EQ(odd["rope_type"], "longrope");
  EXPECT_EQ(odd["short_factor"], Json(std::vector<double>{1, 5, 2.5}));
  EXPECT_EQ(odd["long_factor"], odd["short_factor"]);
  EXPECT_EQ(odd["attention_factor"], 1.0);  // or the formula would put its own
  EXPECT_EQ(odd["original_max_position_embeddings"], 16);
  EXPECT_THAT(error_of([] { scaling_of({1, 0}); }), HasSubstr("all above 0"));
  EXPECT_THAT(error_of([] { scaling_of({1, -NAN}); }), HasSubstr("all above 0"));
}

TEST(GgufSource, RefusesAScalingStatedTwice) {
  GgufFile file = llama_keys();
  file.set("llama.rope.scaling.type", "yarn").set("llama.rope.scaling.factor", 4.f);
  file.tensor("rope_freqs.weight", {2}, {1, 2});
  EXPECT_THAT(error_of([&] { small_llama(file); }), HasSubstr("twice"));
}

TEST(GgufSource, RefusesWhatIsNoLlama) {
  EXPECT_THAT(error_of([] { Opened(GgufFile().set("general.architecture", "gemma")); }),
              HasSubstr("'gemma' is not supported"));
  EXPECT_THAT(error_of([] { Opened{GgufFile()}; }), HasSubstr("general.architecture is missing"));
  EXPECT_THAT(error_of([] { Opened{llama_keys()}; }), HasSubstr("token_embd.weight"));
  GgufFile surplus = llama_keys();
  surplus.tensor("blk.0.ffn_gate_exps.weight", {8}, counting(8));
  EXPECT_THAT(error_of([&] { small_llama(surplus); }), HasSubstr("ffn_gate_exps"));
  GgufFile wide = llama_keys();
  wide.value("llama.attention.key_length", 10, bytes_of(uint64_t{1} << 40));
  EXPECT_THAT(error_of([&] { small_llama(wide); }), HasSubstr("which is not supported"));
  GgufFile headless;
  headless.set("general.architecture", "llama").set("llama.embedding_length", 8u);
  headless.set("llama.attention.head_count", 0u);
  EXPECT_THAT(error_of([&] { small_llama(headless); }), HasSubstr("head_count is 0"));
}

TEST(GgufTokenizer, IsTheTokenizerJsonOfTheOriginal) {
  Opened source = small_llama();
  Json json = source->tokenizer_json();
  EXPECT_EQ(json["model"]["vocab"]["ab"], 3);
  EXPECT_EQ(json["model"]["merges"], Json::array({"a b"}));
  EXPECT_EQ(json["pre_tokenizer"]["pretokenizers"][0]["type"], "Digits");
  EXPECT_EQ(json["decoder"]["type"], "ByteLevel");
  ASSERT_EQ(json["added_tokens"].size(), 2);
  EXPECT_EQ(json["added_tokens"][0]["content"], "<|end|>");
  EXPECT_EQ(json["added_tokens"][0]["special"], true);
  EXPECT_EQ(json["added_tokens"][1]["special"], false);
  EXPECT_TRUE(json["post_processor"].is_null());
}

TEST(GgufTokenizer, BringsTheChatTemplateAndTheLength) {
  Opened source = small_llama();
  for (const auto& [name, content] : source->side_files()) {
    if (name != "tokenizer_config.json") continue;
    Json json = parse_json(content, name, ExitCode::kModel);
    EXPECT_EQ(json["chat_template"], "{{ messages }}");
    EXPECT_EQ(json["eos_token"], "<|end|>");
    EXPECT_EQ(json["model_max_length"], 64);
    return;
  }
  ADD_FAILURE() << "no tokenizer_config.json";
}

TEST(GgufTokenizer, RefusesKindsItCannotRebuild) {
  auto refused = [](const char* pre, const char* model) {
    GgufFile file = llama_keys();
    add_tokenizer(file, pre, model);
    add_tensors(file);
    return error_of([&] { Opened(file)->tokenizer_json(); });
  };
  EXPECT_THAT(refused("kimi-k2", "gpt2"), HasSubstr("'kimi-k2' is not known"));
  EXPECT_THAT(refused("default", "bert"), HasSubstr("'bert' is not supported"));
  EXPECT_THAT(refused("default", "t5"), HasSubstr("tokenizer.ggml.scores"));
  EXPECT_THAT(refused("default", "llama"), HasSubstr("tokenizer.ggml.scores"));
  for (const char* pre : {"llama-bpe", "qwen2", "tekken", "gpt-2", "default", "gpt-4o"}) {
    EXPECT_EQ(refused(pre, "gpt2"), "no error");
  }
}

TEST(GgufSource, EndsATextWhereATurnOrAMessageEndsToo) {
  GgufFile file = llama_keys();
  file.set("tokenizer.ggml.eot_token_id", 1u).set("tokenizer.ggml.eom_token_id", 0u);
  EXPECT_EQ(small_llama(file)->config_json()["eos_token_id"], Json::array({0, 1}));
}

// special_eog_ids of llama.cpp's src/llama-vocab.cpp has them by name.
TEST(GgufSource, EndsATextAtTokensWithTheNameOfATurnsEnd) {
  GgufFile file = llama_keys();
  file.set("tokenizer.ggml.eos_token_id", 0u);
  file.set("tokenizer.ggml.tokens",
           std::vector<std::string>{"</s>", "a", "<|im_end|>", "<|eom_id|>", "b", "c"});
  add_tensors(file);
  EXPECT_EQ(Opened(file)->config_json()["eos_token_id"], Json::array({0, 2, 3}));
}

TEST(GgufTokenizer, PassesOverChatTemplatesWithNamesThatLeadElsewhere) {
  GgufFile file = llama_keys();
  file.set("tokenizer.chat_templates", std::vector<std::string>{"../../x", "rag"});
  file.set("tokenizer.chat_template.../../x", "evil").set("tokenizer.chat_template.rag", "{{ d }}");
  std::vector<std::string> names;
  for (const auto& [name, content] : small_llama(file)->side_files()) names.push_back(name);
  EXPECT_THAT(names, testing::UnorderedElementsAre(
                         "additional_chat_templates/rag.jinja", "chat_template.jinja",
                         "tokenizer.json", "tokenizer_config.json", "generation_config.json"));
}

TEST(GgufTokenizer, PutsBosInFrontWhereTheModelDoes) {
  GgufFile file = llama_keys();
  file.value("tokenizer.ggml.add_bos_token", 7, bytes_of(uint8_t{1}));
  Json post = small_llama(file)->tokenizer_json()["post_processor"];
  EXPECT_EQ(post["single"][0]["SpecialToken"]["id"], "<|end|>");
  EXPECT_EQ(post["special_tokens"]["<|end|>"]["ids"], Json::array({0}));
}

/// convert-llama2c-to-ggml says so of a model that has no token to pad with.
TEST(GgufSource, TakesATokenBeyondTheVocabularyForNone) {
  GgufFile file = llama_keys();
  file.set("tokenizer.ggml.padding_token_id", 4294967295u);
  file.set("tokenizer.ggml.eot_token_id", 6u);
  const Opened source = small_llama(file);
  const Json config = source->config_json();
  EXPECT_FALSE(config.contains("pad_token_id"));
  EXPECT_EQ(config["eos_token_id"], 0);
  EXPECT_FALSE(source->side_json("tokenizer_config.json").contains("pad_token"));
}

}  // namespace
}  // namespace longspan
