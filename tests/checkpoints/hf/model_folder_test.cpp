// A Hugging Face folder there and back: hf_source, hf_importer, hf_exporter.

#include "tests/checkpoints/model_folder.h"

#include <ATen/ops/equal.h>
#include <gmock/gmock.h>

#include <limits>

#include "checkpoints/hf/hf_config.h"
#include "checkpoints/hf/hf_exporter.h"
#include "checkpoints/hf/hf_importer.h"
#include "checkpoints/safetensors_writer.h"
#include "tests/checkpoints/temporary_folder.h"

namespace longspan {
namespace {

using testing::HasSubstr;
using testing::UnorderedElementsAre;

namespace fs = std::filesystem;

class ModelFolder : public testing::Test {
 protected:
  ModelFolder() { write_model_folder(base_, *model_); }

  void export_to(const fs::path& place, at::ScalarType dtype, int64_t shard_bytes) {
    auto source = open_model_source(base_);
    export_hf(*source, read_hf_config(*source), place, {dtype, shard_bytes});
  }
  std::vector<std::string> files_of(const fs::path& folder) {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder))
      names.push_back(entry.path().filename());
    return names;
  }

  TemporaryFolder folder_;
  fs::path base_ = folder_.path() / "base", out_ = folder_.path() / "out";
  std::unique_ptr<CausalLm> model_ = random_model(tiny_llama_config());
};

TEST_F(ModelFolder, GivesTheSameLogitsAfterExportAndImport) {
  export_to(out_, at::kFloat, 1 << 30);
  auto again = import_model(*open_model_source(out_), {.dtype = at::kFloat});
  EXPECT_TRUE(at::equal(logits_of(*again), logits_of(*model_)));
  EXPECT_THAT(files_of(out_), UnorderedElementsAre("config.json", "generation_config.json",
                                                   "model.safetensors", "tokenizer_config.json"));
}

TEST_F(ModelFolder, OpensAFileOfWeightsWhoseEndingIsInCapitals) {
  fs::rename(base_ / "model.safetensors", base_ / "MODEL.SafeTensors");
  auto again = import_model(*open_model_source(base_ / "MODEL.SafeTensors"), {.dtype = at::kFloat});
  EXPECT_TRUE(at::equal(logits_of(*again), logits_of(*model_)));
}

TEST_F(ModelFolder, GivesTheSameLogitsInShards) {
  export_to(out_, at::kFloat, 6000);
  Json index = read_json_file(out_ / "model.safetensors.index.json", ExitCode::kModel);
  EXPECT_EQ(index["weight_map"].size(), open_model_source(base_)->tensors().size());
  EXPECT_TRUE(fs::exists(out_ / index["weight_map"]["model.norm.weight"].get<std::string>()));
  int64_t bytes = 0;
  for (const auto& info : open_model_source(out_)->tensors()) bytes += info.bytes;
  EXPECT_EQ(index["metadata"]["total_size"], bytes);
  auto again = import_model(*open_model_source(out_), {.dtype = at::kFloat});
  EXPECT_TRUE(at::equal(logits_of(*again), logits_of(*model_)));
}

TEST_F(ModelFolder, ExportsInTheDtypeAskedFor) {
  export_to(out_, at::kBFloat16, 1 << 30);
  auto source = open_model_source(out_);
  for (const auto& info : source->tensors()) EXPECT_EQ(info.dtype, "BF16");
  EXPECT_EQ(source->config_json()["dtype"], "bfloat16");
  EXPECT_EQ(main_dtype(*source), at::kBFloat16);
}

TEST_F(ModelFolder, ExportFollowsTheLengthInTheTokenizerConfig) {
  auto source = open_model_source(base_);
  ModelConfig config = read_hf_config(*source);
  config.max_position_embeddings = 128;
  export_hf(*source, config, out_, {at::kFloat, 1 << 30});
  Json json = read_json_file(out_ / "tokenizer_config.json", ExitCode::kModel);
  EXPECT_EQ(json, Json({{"model_max_length", 128}, {"x", "kept"}}));
}

TEST_F(ModelFolder, ExportLowersNoLengthOfTheTokenizer) {
  auto exported = [&](const Json& limit, const Json& rope) {
    write_json_file(base_ / "tokenizer_config.json", {{"model_max_length", limit}});
    auto source = open_model_source(base_);
    ModelConfig config = read_hf_config(*source);
    Diagnostics diagnostics;
    config.rope_scaling = read_rope_scaling(Fields(rope, diagnostics));
    std::filesystem::remove_all(out_);
    export_hf(*source, config, out_, {at::kFloat, 1 << 30});
    return read_json_file(out_ / "tokenizer_config.json", ExitCode::kModel)["model_max_length"];
  };
  const Json plain{{"rope_type", "default"}}, dynamic{{"rope_type", "dynamic"}, {"factor", 4}};
  EXPECT_EQ(exported(1e30, plain), 1e30);  // transformers' "no limit"
  EXPECT_EQ(exported(128, plain), 128);
  EXPECT_EQ(exported(64, dynamic), 256);
  EXPECT_EQ(exported(nullptr, plain), 64);
}

TEST_F(ModelFolder, NamesTheTensorWithNaNAndLeavesNothingBehind) {
  model_->visit_parameters("", [](const std::string& name, at::Tensor& parameter) {
    if (name == "model.norm.weight") parameter[3] = std::numeric_limits<double>::quiet_NaN();
  });
  write_model_folder(base_, *model_);
  EXPECT_THAT(error_of([&] { import_model(*open_model_source(base_), {}); }),
              HasSubstr("'model.norm.weight' holds NaN"));
  EXPECT_THAT(error_of([&] { export_to(out_, at::kFloat, 1 << 30); }), HasSubstr("model.norm"));
  EXPECT_THAT(files_of(folder_.path()), UnorderedElementsAre("base"));
}

TEST_F(ModelFolder, RefusesFloat16ThatOverflows) {
  model_->visit_parameters("", [](const std::string& name, at::Tensor& parameter) {
    if (name == "model.norm.weight") parameter[3] = 1e6;
  });
  write_model_folder(base_, *model_);
  EXPECT_THAT(error_of([&] { export_to(out_, at::kHalf, 1 << 30); }), HasSubstr("as float16"));
}

TEST_F(ModelFolder, ListsTensorsThatDoNotFit) {
  Json config = read_json_file(base_ / "config.json", ExitCode::kModel);
  config["intermediate_size"] = 41;
  config["num_hidden_layers"] = 1;
  write_json_file(base_ / "config.json", config);
  std::string message = error_of([&] { import_model(*open_model_source(base_), {}); });
  EXPECT_THAT(message,
              HasSubstr("'model.layers.0.mlp.up_proj.weight' is [40, 36], config.json makes "
                        "it [41, 36]"));
  EXPECT_THAT(message, HasSubstr("'model.layers.1.input_layernorm.weight' has no place"));
  config["num_hidden_layers"] = 3;
  write_json_file(base_ / "config.json", config);
  EXPECT_THAT(error_of([&] { import_model(*open_model_source(base_), {}); }),
              HasSubstr("'model.layers.2.self_attn.q_proj.weight' is missing"));
  EXPECT_THAT(error_of([&] { export_to(out_, at::kFloat, 1 << 30); }), HasSubstr("is missing"));
  EXPECT_FALSE(fs::exists(out_));
}

TEST_F(ModelFolder, RefusesAHeadThatItsConfigDeniesOrThatIsMissing) {
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  SafetensorsReader reader(base_ / "model.safetensors");
  for (const auto& info : reader.tensors()) {
    tensors.emplace_back(info.name, reader.tensor(info.name).clone());
  }
  tensors.emplace_back("lm_head.weight", model_->lm_head_weight() + 1);
  auto refused = [&](bool tied) {
    write_safetensors(base_ / "model.safetensors", tensors);
    Json config = read_json_file(base_ / "config.json", ExitCode::kModel);
    config["tie_word_embeddings"] = tied;
    write_json_file(base_ / "config.json", config);
    return error_of([&] { import_model(*open_model_source(base_), {}); });
  };
  EXPECT_THAT(refused(true), HasSubstr("set its tie_word_embeddings to false"));
  EXPECT_EQ(refused(false), "no error");
  tensors.back().second = tensors.back().second.to(at::kLong);
  EXPECT_THAT(refused(false), HasSubstr("'lm_head.weight' is I64"));
  tensors.pop_back();
  EXPECT_THAT(refused(false), HasSubstr("'lm_head.weight' is missing"));
  EXPECT_EQ(refused(true), "no error");
}

TEST_F(ModelFolder, IgnoresASecondCopyOfTiedEmbeddings) {
  SafetensorsReader reader(base_ / "model.safetensors");
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  for (const auto& info : reader.tensors()) {
    tensors.emplace_back(info.name, reader.tensor(info.name).clone());
  }
  tensors.emplace_back("lm_head.weight", model_->lm_head_weight());
  write_safetensors(base_ / "model.safetensors", tensors);
  auto again = import_model(*open_model_source(base_), {.dtype = at::kFloat});
  EXPECT_TRUE(at::equal(logits_of(*again), logits_of(*model_)));
}

TEST_F(ModelFolder, RefusesFoldersThatAreNotWhole) {
  auto opened = [&] { return error_of([&] { open_model_source(base_); }); };
  auto index = [&](const Json& weight_map) {
    write_json_file(base_ / "model.safetensors.index.json", {{"weight_map", weight_map}});
    return opened();
  };
  fs::rename(base_ / "model.safetensors", base_ / "a.safetensors");
  EXPECT_THAT(opened(), HasSubstr("neither model.safetensors nor pytorch_model.bin"));
  EXPECT_THAT(index("x"), HasSubstr("no map 'weight_map'"));
  EXPECT_THAT(index({{"w", "../a.safetensors"}}), HasSubstr("no file name"));
  EXPECT_THAT(index({{"w", "a.safetensors"}}), HasSubstr("'w' is not in a.safetensors"));
  EXPECT_THAT(index({{"w", "b.safetensors"}}), HasSubstr("names b.safetensors, which is not"));
  folder_.write("base/c.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n");
  EXPECT_THAT(index({{"w", "c.safetensors"}}), HasSubstr("is a pointer of Git LFS, not the file"));
  fs::remove(base_ / "config.json");
  EXPECT_THAT(opened(), HasSubstr("has no config.json"));
  folder_.write("base/adapter_config.json", "{}");
  EXPECT_THAT(opened(), HasSubstr("is a PEFT adapter and holds no model"));
  EXPECT_THAT(error_of([&] { open_model_source(folder_.path() / "none"); }),
              HasSubstr("there is no such model"));
}

TEST_F(ModelFolder, ReplacesModelsOnly) {
  require_replaceable(out_, false);
  require_replaceable(base_, true);
  auto refused = [](const fs::path& folder, bool force) {
    return error_of([&] { require_replaceable(folder, force); }, ExitCode::kUsage);
  };
  EXPECT_THAT(refused(base_, false), HasSubstr("--force replaces it"));
  EXPECT_THAT(refused(folder_.path(), true), HasSubstr("something other than a model"));
  for (const char* other : {"NOTES.md", "checkpoint"}) {
    fs::create_directory(base_ / other);
    EXPECT_THAT(refused(base_, true), HasSubstr(other));
    fs::remove(base_ / other);
  }
  fs::create_symlink("nothing", folder_.path() / "dangling");
  EXPECT_THAT(refused(folder_.path() / "dangling", true), HasSubstr("link to nothing"));
}

TEST_F(ModelFolder, IsNotReplacedByWhatIsReadFromIt) {
  require_apart(base_, out_);  // which is not there
  require_apart(base_, base_ / "inner");
  fs::create_directories(out_);
  require_apart(base_, out_);
  fs::create_directory_symlink(base_, folder_.path() / "link");
  for (const fs::path& in : {base_, base_ / "", base_ / "inner", base_ / "model.safetensors"}) {
    for (const fs::path& out : {base_, base_ / ".", folder_.path() / "link", folder_.path()}) {
      EXPECT_THAT(error_of([&] { require_apart(in, out); }, ExitCode::kUsage),
                  HasSubstr("which would be lost"))
          << in << " " << out;
    }
  }
}

/// `cd base; longspan convert model.safetensors ../base --force`
TEST_F(ModelFolder, IsNotReplacedByAFileOfItByItsBareName) {
  const fs::path before = fs::current_path();
  fs::current_path(base_);
  const auto source = open_model_source("model.safetensors");
  const std::string error = error_of(
      [&] { require_apart(source->path(), "../" + base_.filename().string()); }, ExitCode::kUsage);
  fs::current_path(before);
  EXPECT_THAT(error, HasSubstr("which would be lost"));
}

}  // namespace
}  // namespace longspan
