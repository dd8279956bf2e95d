// Merges that went wrong: verify_merge refuses each and says where.

#include "checkpoints/adapters/merge_verification.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros_like.h>
#include <gmock/gmock.h>

#include "checkpoints/adapters/adapted_model.h"
#include "checkpoints/adapters/merge.h"
#include "checkpoints/hf/hf_config.h"
#include "checkpoints/hf/hf_exporter.h"
#include "checkpoints/safetensors_writer.h"
#include "tests/checkpoints/model_folder.h"
#include "tests/checkpoints/temporary_folder.h"

namespace longspan {
namespace {

using testing::HasSubstr;

namespace fs = std::filesystem;

constexpr const char* kQuery0 = "model.layers.0.self_attn.q_proj.weight";
constexpr const char* kQuery1 = "model.layers.1.self_attn.q_proj.weight";
constexpr const char* kNorm = "model.norm.weight";

/// A base in bfloat16, an adapter with LoRA on q and o, a saved norm and YaRN, and their merge. The
/// adapter is small, as after a few steps: it moves most weights by less than 1%.
class MergeVerificationTest : public testing::Test {
 protected:
  MergeVerificationTest() {
    ModelConfig config = tiny_llama_config();
    config.hidden_size = 72;  // q is square: A and B can be exchanged
    write_model_folder(base_, *random_model(config, 1, at::kBFloat16));
    source_ = open_model_source(base_);
    adapter_.lora = {.r = 2, .lora_alpha = 6, .target_modules = {"q_proj", "o_proj"}};
    for (const auto& info : source_->tensors()) {
      for (const char* target : {"q_proj", "o_proj"}) {
        if (info.name.find(target) == std::string::npos) continue;
        std::string module = info.name.substr(0, info.name.rfind('.'));
        adapter_.tensors[module + ".lora_A.weight"] = at::randn({2, info.shape[1]}) * 0.02;
        adapter_.tensors[module + ".lora_B.weight"] = at::randn({info.shape[0], 2}) * 0.02;
      }
    }
    adapter_.tensors[kNorm] = source_->tensor(kNorm).to(at::kFloat) * 1.01;
    Json keys = {{"rope_type", "yarn"}, {"factor", 2.0}, {"original_max_position_embeddings", 64}};
    Diagnostics diagnostics;
    config.rope_scaling = read_rope_scaling(Fields(keys, diagnostics));
    config.max_position_embeddings = 128;
    adapter_.config_json = write_hf_config(config, at::kBFloat16);
    merge(adapter_);
  }

  void merge(const PeftAdapter& adapter, at::ScalarType dtype = at::kBFloat16) {
    fs::remove_all(out_);
    export_hf(*merged_source(*source_, adapter), adapted_config(*source_, adapter), out_,
              {dtype, 1 << 30});
  }
  std::string verdict() {
    return error_of([&] { verify_merge(*source_, adapter_, *open_model_source(out_)); });
  }
  /// Writes the merged tensors again as `change` makes them; an undefined one is left out.
  std::string verdict_after(
      const std::function<at::Tensor(const std::string&, const at::Tensor&)>& change) {
    std::vector<std::pair<std::string, at::Tensor>> tensors;
    {
      SafetensorsReader reader(out_ / "model.safetensors");
      for (const auto& info : reader.tensors()) {
        at::Tensor tensor = change(info.name, reader.tensor(info.name).clone());
        if (tensor.defined()) tensors.emplace_back(info.name, tensor);
      }
    }
    write_safetensors(out_ / "model.safetensors", tensors);
    return verdict();
  }
  std::string verdict_with(const std::string& name, const at::Tensor& tensor) {
    return verdict_after([&](const std::string& n, const at::Tensor& t) {
      return n == name ? tensor.to(at::kBFloat16) : t;
    });
  }
  at::Tensor product(const std::string& weight, double scale) {
    std::string module = weight.substr(0, weight.rfind('.'));
    return at::matmul(adapter_.tensors.at(module + ".lora_B.weight"),
                      adapter_.tensors.at(module + ".lora_A.weight")) *
           scale;
  }
  at::Tensor base(const std::string& name) { return source_->tensor(name).to(at::kFloat); }

  TemporaryFolder folder_;
  fs::path base_ = folder_.path() / "base", out_ = folder_.path() / "merged";
  std::unique_ptr<ModelSource> source_;
  PeftAdapter adapter_;
};

TEST_F(MergeVerificationTest, AcceptsTheMergeInEveryDtype) {
  for (at::ScalarType dtype : {at::kBFloat16, at::kHalf, at::kFloat}) {
    merge(adapter_, dtype);
    MergeVerification found = verify_merge(*source_, adapter_, *open_model_source(out_));
    EXPECT_EQ(found.adapted, 4);
    EXPECT_EQ(found.saved, 1);
    EXPECT_EQ(found.adapted + found.saved + found.copied, source_->tensors().size());
    EXPECT_GT(found.moved_values, found.adapted_values / 4);
  }
}

TEST_F(MergeVerificationTest, AcceptsRankStabilizedScale) {
  adapter_.lora.use_rslora = true;
  merge(adapter_);
  EXPECT_EQ(verdict(), "no error");
  adapter_.lora.use_rslora = false;
  EXPECT_THAT(verdict(), HasSubstr(kQuery0));
}

TEST_F(MergeVerificationTest, KnowsDora) {
  adapter_.lora.use_dora = true;
  for (const auto& info : source_->tensors()) {
    std::string module = info.name.substr(0, info.name.rfind('.'));
    if (!adapter_.tensors.contains(module + ".lora_A.weight")) continue;
    adapter_.tensors[module + ".lora_magnitude_vector"] =
        base(info.name).norm(2, 1) * (at::randn({info.shape[0]}) * 0.05 + 1);
  }
  for (at::ScalarType dtype : {at::kBFloat16, at::kFloat}) {
    merge(adapter_, dtype);
    EXPECT_EQ(verdict(), "no error");
  }
  merge(adapter_);
  EXPECT_THAT(verdict_with(kQuery0, base(kQuery0) + product(kQuery0, 3)), HasSubstr(kQuery0));
}

TEST_F(MergeVerificationTest, KnowsRanksAndAlphasByPattern) {
  adapter_.lora.rank_pattern = {{"layers.1.self_attn.q_proj", 1}};
  adapter_.lora.alpha_pattern = {{"o_proj", 5.0}};
  adapter_.tensors["model.layers.1.self_attn.q_proj.lora_A.weight"] = at::randn({1, 72}) * 0.02;
  adapter_.tensors["model.layers.1.self_attn.q_proj.lora_B.weight"] = at::randn({72, 1}) * 0.02;
  merge(adapter_);
  EXPECT_EQ(verdict(), "no error");
  adapter_.lora.alpha_pattern = {{"o_proj", 7.0}};
  EXPECT_THAT(verdict(), HasSubstr("o_proj"));
}

TEST_F(MergeVerificationTest, KnowsLoraOfEmbeddings) {
  adapter_.tensors["model.embed_tokens.lora_embedding_A"] = at::randn({2, 61});
  adapter_.tensors["model.embed_tokens.lora_embedding_B"] = at::randn({72, 2}) * 0.1;
  merge(adapter_);
  EXPECT_EQ(verdict(), "no error");
  EXPECT_THAT(verdict_with("model.embed_tokens.weight", base("model.embed_tokens.weight")),
              HasSubstr("'model.embed_tokens.weight': "));
}

TEST_F(MergeVerificationTest, KnowsTrainableTokens) {
  const char* kEmbeddings = "model.embed_tokens.weight";
  adapter_.tensors["model.embed_tokens.trainable_tokens_delta"] = at::randn({2, 72});
  adapter_.trainable_tokens["model.embed_tokens"] = {3, 7};
  merge(adapter_);
  EXPECT_EQ(verify_merge(*source_, adapter_, *open_model_source(out_)).saved, 2);
  EXPECT_THAT(verdict_with(kEmbeddings, base(kEmbeddings)),
              HasSubstr("'model.embed_tokens.weight' is not the base's with the adapter's rows"));
}

TEST_F(MergeVerificationTest, RefusesALostAdapter) {
  std::string message = verdict_with(kQuery0, base(kQuery0));
  EXPECT_THAT(message, HasSubstr(fmt::format("'{}': ", kQuery0)));
  EXPECT_THAT(message, HasSubstr("of 5,184 values differ"));
  EXPECT_THAT(message, testing::Not(HasSubstr(kQuery1)));
}

TEST_F(MergeVerificationTest, RefusesAWrongScale) {
  EXPECT_THAT(verdict_with(kQuery0, base(kQuery0) + product(kQuery0, 6)), HasSubstr(kQuery0));
}

TEST_F(MergeVerificationTest, RefusesAnAdapterAddedTwice) {
  EXPECT_THAT(verdict_with(kQuery0, base(kQuery0) + product(kQuery0, 3) + product(kQuery0, 3)),
              HasSubstr(kQuery0));
}

TEST_F(MergeVerificationTest, RefusesTransposedFactors) {
  EXPECT_THAT(verdict_with(kQuery0, base(kQuery0) + product(kQuery0, 3).t()), HasSubstr(kQuery0));
}

TEST_F(MergeVerificationTest, RefusesTheAdapterOfAnotherLayer) {
  EXPECT_THAT(verdict_with(kQuery0, base(kQuery0) + product(kQuery1, 3)), HasSubstr(kQuery0));
}

TEST_F(MergeVerificationTest, RefusesALostSavedModule) {
  EXPECT_THAT(verdict_with(kNorm, base(kNorm)),
              HasSubstr("'model.norm.weight' is not the adapter's"));
}

TEST_F(MergeVerificationTest, RefusesOneValueThatIsOffByOneBit) {
  constexpr const char* kDown = "model.layers.1.mlp.down_proj.weight";
  EXPECT_THAT(verdict_after([&](const std::string& name, at::Tensor tensor) {
                if (name == kDown) tensor.view(at::kShort)[3][5] += 1;
                return tensor;
              }),
              HasSubstr("'model.layers.1.mlp.down_proj.weight' is not the base's"));
  merge(adapter_);
  EXPECT_THAT(verdict_after([&](const std::string& name, at::Tensor tensor) {
                if (name == kQuery1) tensor.view(at::kShort)[3][5] += 1;
                return tensor;
              }),
              HasSubstr("1 of 5,184 values differ"));
}

TEST_F(MergeVerificationTest, RefusesNaN) {
  EXPECT_THAT(verdict_after([&](const std::string& name, at::Tensor tensor) {
                if (name == kQuery1) tensor[0][0] = std::numeric_limits<double>::quiet_NaN();
                return tensor;
              }),
              HasSubstr("1 of 5,184 values differ"));
}

TEST_F(MergeVerificationTest, RefusesMissingAndSurplusTensors) {
  EXPECT_THAT(verdict_after([&](const std::string& name, const at::Tensor& tensor) {
                return name == kNorm ? at::Tensor() : tensor;
              }),
              HasSubstr("'model.norm.weight' is missing"));
  merge(adapter_);
  adapter_.tensors["model.layers.7.self_attn.q_proj.lora_A.weight"] = at::randn({2, 72});
  EXPECT_THAT(verdict(), HasSubstr("layers.7.self_attn.q_proj.lora_A.weight' is nowhere in it"));
}

TEST_F(MergeVerificationTest, RefusesFilesWithZeroesWhereTheirEndWasNotWritten) {
  fs::path file = out_ / "model.safetensors";
  auto size = fs::file_size(file);
  fs::resize_file(file, size - 500);
  EXPECT_THAT(verdict(), HasSubstr("truncated"));
  fs::resize_file(file, size);
  EXPECT_THAT(verdict(), HasSubstr("is not"));
}

TEST_F(MergeVerificationTest, RefusesALostRopeScaling) {
  Json config = read_json_file(out_ / "config.json", ExitCode::kModel);
  config["max_position_embeddings"] = 64;
  config.erase("rope_scaling");
  config["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 10000.0}};
  write_json_file(out_ / "config.json", config);
  EXPECT_THAT(verdict(), HasSubstr("config.json: max_position_embeddings is 64, expected 128"));
  EXPECT_THAT(verdict(), HasSubstr("rope_scaling is null"));
}

TEST_F(MergeVerificationTest, RefusesAHeadThatWasTiedAgain) {
  adapter_.tensors["model.embed_tokens.weight"] = base("model.embed_tokens.weight") * 1.5;
  merge(adapter_);
  EXPECT_EQ(verdict(), "no error");
  Json config = read_json_file(out_ / "config.json", ExitCode::kModel);
  config["tie_word_embeddings"] = true;
  write_json_file(out_ / "config.json", config);
  EXPECT_THAT(verdict(), HasSubstr("tie_word_embeddings is true, expected false"));
}

TEST_F(MergeVerificationTest, SeesThatAnAdapterMovesNothing) {
  for (auto& [name, tensor] : adapter_.tensors) {
    if (name.ends_with("lora_B.weight")) tensor = at::zeros_like(tensor);
  }
  merge(adapter_);
  MergeVerification found = verify_merge(*source_, adapter_, *open_model_source(out_));
  EXPECT_EQ(found.moved_values, 0);
  EXPECT_EQ(found.adapted_values, 4 * 5184);
}

}  // namespace
}  // namespace longspan
