#include <gmock/gmock.h>

#include "checkpoints/gguf/gguf_source.h"
#include "checkpoints/hf/hf_config.h"
#include "checkpoints/hf/hf_source.h"
#include "checkpoints/torch/torch_checkpoint.h"
#include "tests/checkpoints/gguf/gguf_file.h"

namespace longspan {
namespace {

using testing::AllOf;
using testing::HasSubstr;

Json hostile_config() {
  return {{"model_type", "llama"},       {"vocab_size", 32},
          {"hidden_size", 16},           {"intermediate_size", 32},
          {"num_hidden_layers", 2},      {"num_attention_heads", 4},
          {"num_key_value_heads", 2},    {"rms_norm_eps", 1e-5},
          {"hidden_act", "silu"},        {"rope_theta", 10000.0},
          {"tie_word_embeddings", true}, {"max_position_embeddings", 64}};
}

/// What is said of a config.json with this value, up to a model without weights.
std::string refused_config(const char* key, const Json& value) {
  Json config = hostile_config();
  config[key] = value;
  return error_of([&] { make_causal_lm(read_hf_config(config, "x")); });
}

TEST(HostileConfig, SizesThatNoModelHasAreRefusedBeforeAnythingIsMade) {
  EXPECT_EQ(error_of([] { make_causal_lm(read_hf_config(hostile_config(), "x")); }), "no error");
  for (const char* key :
       {"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
        "num_attention_heads", "num_key_value_heads", "head_dim", "max_position_embeddings"}) {
    for (const Json& value : {Json(int64_t{1} << 40), Json(1'000'000'000'000), Json(-1), Json(0),
                              Json(UINT64_MAX), Json(1e300), Json("16"), Json({16})}) {
      EXPECT_THAT(refused_config(key, value), HasSubstr(key)) << value;
    }
  }
  EXPECT_THAT(refused_config("num_hidden_layers", 1'000'000'000), HasSubstr("num_hidden_layers"));
  EXPECT_THAT(refused_config("head_dim", 1 << 30), HasSubstr("head_dim"));
}

TEST(HostileConfig, TheLargestSizesTogetherDoNotOverflow) {
  Json config = hostile_config();
  for (const char* key : {"vocab_size", "hidden_size", "intermediate_size"}) config[key] = 1 << 26;
  for (const char* key : {"num_attention_heads", "num_key_value_heads", "head_dim"}) {
    config[key] = 1 << 16;
  }
  for (const char* model_type : {"llama", "phi3"}) {
    config["model_type"] = model_type;
    EXPECT_EQ(error_of([&] { make_causal_lm(read_hf_config(config, "x")); }), "no error");
  }
}

// Found by config_fuzz: the place of original_max_position_embeddings was kept while "factor" was
// added, which moves it.
TEST(HostileConfig, ARopeScalingWithoutAFactorTakesItFromTheLengths) {
  Json config = hostile_config();
  config["rope_parameters"] = {{"rope_type", "llama3"},
                               {"low_freq_factor", 1.0},
                               {"high_freq_factor", 4.0},
                               {"original_max_position_embeddings", 32},
                               {"rope_theta", 10000.0}};
  EXPECT_EQ(read_hf_config(config, "x").rope_scaling->factor(), 2.0);
}

// Found by config_fuzz: it was refused, and divided by until then.
TEST(HostileConfig, EveryZerothLayerIsAnError) {
  for (auto [family, key] : {std::pair{"smollm3", "no_rope_layer_interval"},
                             {"gemma3_text", "sliding_window_pattern"}}) {
    Json config = hostile_config();
    config["model_type"] = family;
    config[key] = 0;
    EXPECT_THAT(error_of([&] { read_hf_config(config, "x"); }),
                HasSubstr(std::string(key) + ": 0 is out of range"));
  }
}

/// What is said of a folder whose index names this shard.
std::string refused_shard(const std::string& name) {
  TemporaryFolder folder;
  folder.write("config.json", hostile_config().dump());
  folder.write("model.safetensors.index.json", Json{{"weight_map", {{"w", name}}}}.dump());
  return error_of([&] { HfSource source(folder.path()); });
}

TEST(HostileIndex, AShardLiesInTheFolder) {
  for (const char* name : {"../../etc/passwd", "/etc/passwd", "a/../b", "../x.safetensors"}) {
    EXPECT_THAT(refused_shard(name), HasSubstr("is no file name")) << name;
  }
  EXPECT_THAT(refused_shard(std::string("a\0.safetensors", 14)), HasSubstr("is no file name"));
}

TEST(HostileIndex, AFolderIsNoShard) {
  for (const char* name : {"..", ".", ""}) {
    EXPECT_NE(refused_shard(name), "no error") << name;
  }
}

std::string refused_gguf(const GgufFile& file) {
  TemporaryFolder folder;
  auto path = folder.write("x.gguf", file.bytes());
  return error_of([&] {
    GgufSource source(path);
    for (const auto& info : source.tensors()) source.tensor(info.name);
  });
}

/// A llama of one tensor, q_proj, with this value under llama.`key`.
GgufFile llama_gguf(const std::string& key, uint64_t value) {
  GgufFile file;
  file.set("general.architecture", "llama");
  file.set("llama.attention.layer_norm_rms_epsilon", 1e-5f);
  for (auto [name, usual] : {std::pair<std::string, uint64_t>("embedding_length", 4),
                             {"block_count", 1},
                             {"context_length", 8},
                             {"feed_forward_length", 4},
                             {"attention.head_count", 2}}) {
    file.value("llama." + name, 10, bytes_of(name == key ? value : usual));
  }
  if (key == "attention.key_length") file.value("llama." + key, 10, bytes_of(value));
  return file.tensor("token_embd.weight", {4, 2}, std::vector<float>(8))
      .tensor("blk.0.attn_q.weight", {4, 4}, std::vector<float>(16));
}

TEST(HostileGguf, CountsThatNoModelHasAreErrors) {
  EXPECT_EQ(refused_gguf(llama_gguf("context_length", 8)), "no error");
  for (const char* key : {"attention.head_count", "attention.key_length"}) {
    for (uint64_t value : {uint64_t{1} << 40, uint64_t{1} << 62, UINT64_MAX}) {
      EXPECT_THAT(refused_gguf(llama_gguf(key, value)), HasSubstr("x.gguf")) << key << value;
    }
  }
}

TEST(HostileGguf, AnEmptyShapeWhoseStridesOverflowIsAnError) {
  GgufFile file;
  file.tensor_info("t", {0, uint64_t{1} << 40, uint64_t{1} << 40}, 0, 0);
  EXPECT_THAT(refused_gguf(file), HasSubstr("overflows"));
}

TEST(HostileGguf, ANameThatSteersATerminalIsAnError) {
  GgufFile file;
  file.tensor_info("\x1b[2J", {1}, 0, 0);
  EXPECT_THAT(refused_gguf(file), HasSubstr("unprintable"));
}

TEST(HostileGguf, AFileWithHolesDoesNotPayForItsArrays) {
  TemporaryFolder folder;
  GgufFile file;
  file.value("a", 9, bytes_of(uint32_t{0}) + bytes_of(uint64_t{1} << 30));  // a gigabyte of zeros
  auto path = folder.write("x.gguf", file.bytes());
  std::filesystem::resize_file(path, uint64_t{1} << 32);
  EXPECT_THAT(error_of([&] { GgufReader reader(path); }), HasSubstr("claims 1073741824 elements"));
  file = {};
  file.value("a", 9, bytes_of(uint32_t{0}) + bytes_of(uint64_t{200'000'000}));
  folder.write("x.gguf", file.bytes());
  std::filesystem::resize_file(path, uint64_t{1} << 32);
  EXPECT_THAT(error_of([&] { GgufReader reader(path); }), HasSubstr("more than 16777216 values"));
}

TEST(HostilePickle, AFileOfAFewBytesIsAnError) {
  TemporaryFolder folder;
  for (const char* bytes : {"P", "PK", "PK\x03\x04", "\x80\x02."}) {
    auto path = folder.write("x.bin", bytes);
    EXPECT_THAT(error_of([&] { TorchCheckpoint checkpoint(path); }), HasSubstr("x.bin")) << bytes;
  }
}

}  // namespace
}  // namespace longspan
