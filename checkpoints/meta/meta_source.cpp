#include "checkpoints/meta/meta_source.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>

#include "checkpoints/half_split_rows.h"
#include "checkpoints/hf/hf_tokenizer.h"
#include "checkpoints/meta/meta_config.h"
#include "checkpoints/sentencepiece/sentencepiece_json.h"
#include "checkpoints/tensor_names.h"
#include "src/core/text.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

struct Name {
  const char *meta, *hugging_face;
  int64_t dim;  // see MetaSource::Joined
};

constexpr Name kOfModel[] = {{"tok_embeddings.weight", kEmbedTokens, 1},
                             {"norm.weight", "model.norm.weight", -1},
                             {"output.weight", kLmHead, 0}};
constexpr Name kOfLayer[] = {
    {"attention.wq.weight", "self_attn.q_proj.weight", 0},
    {"attention.wk.weight", "self_attn.k_proj.weight", 0},
    {"attention.wv.weight", "self_attn.v_proj.weight", 0},
    {"attention.wo.weight", "self_attn.o_proj.weight", 1},
    {"feed_forward.w1.weight", "mlp.gate_proj.weight", 0},
    {"feed_forward.w2.weight", "mlp.down_proj.weight", 1},
    {"feed_forward.w3.weight", "mlp.up_proj.weight", 0},
    {"attention_norm.weight", "input_layernorm.weight", -1},
    {"ffn_norm.weight", "post_attention_layernorm.weight", -1},
};

/// "layers.3.attention.wq.weight" -> "model.layers.3.self_attn.q_proj.weight" and how it is joined;
/// "" when there is no such tensor.
std::pair<std::string, int64_t> hugging_face_name(const std::string& name) {
  for (const auto& known : kOfModel) {
    if (name == known.meta) return {known.hugging_face, known.dim};
  }
  for (const auto& known : kOfLayer) {
    if (!name.starts_with("layers.") || !name.ends_with(std::string(".") + known.meta)) continue;
    std::string layer = name.substr(0, name.size() - std::string_view(known.meta).size());
    return {"model." + layer + known.hugging_face, known.dim};
  }
  return {"", -1};
}

/// Puts bos_token and eos_token, where tokenizer.json lists the ids that config.json has for them.
void name_special_tokens(const Json& tokenizer, const Json& config, Json& tokenizer_config) {
  if (!tokenizer.is_object()) return;
  for (const auto& token : tokenizer.value("added_tokens", Json())) {
    if (!token.is_object() || !token.contains("id") || !token.contains("content")) continue;
    for (const char* role : {"bos_token", "eos_token"}) {
      if (token["id"] == config[fmt::format("{}_id", role)]) {
        tokenizer_config[role] = token["content"];
      }
    }
  }
}

}  // namespace

bool MetaSource::is_one(const fs::path& folder) {
  return fs::exists(folder / "params.json") && !fs::exists(folder / "config.json");
}

MetaSource::MetaSource(const fs::path& folder) : folder_(folder) {
  open_shards();
  for (const auto& info : shards_.front().tensors()) {
    if (info.name != "rope.freqs") join(info);
  }
  MetaShape shape;
  for (const auto& info : infos_) {
    if (info.name == kEmbedTokens && info.shape.size() == 2) shape.vocab_size = info.shape[0];
    if (info.name.ends_with("layers.0.mlp.gate_proj.weight") && info.shape.size() == 2) {
      shape.intermediate_size = info.shape[0];
    }
  }
  shape.tied = !joined_.contains(kLmHead) || has_embeddings_twice();
  config_ = meta_config_json(folder_ / "params.json", shape);
}

bool MetaSource::has_embeddings_twice() const {
  constexpr int64_t kWidest = 3072;  // those of LLaMA 3.2 3B; larger ones need not be read for it
  for (const auto& info : infos_) {
    if (info.name == kEmbedTokens && (info.shape.size() != 2 || info.shape[1] > kWidest)) {
      return false;
    }
  }
  if (!joined_.contains(kEmbedTokens)) return false;
  const at::Tensor embeddings = whole(kEmbedTokens), head = whole(kLmHead);
  return embeddings.scalar_type() == head.scalar_type() && at::equal(embeddings, head);
}

void MetaSource::open_shards() {
  for (int i = 0; i < 100; ++i) {
    fs::path path = folder_ / fmt::format("consolidated.{:02}.pth", i);
    if (!fs::exists(path)) break;
    shards_.emplace_back(path);
  }
  size_t files = 0;
  for (const auto& entry : fs::directory_iterator(folder_)) {
    std::string name = entry.path().filename().string();
    files += name.starts_with("consolidated.") && name.ends_with(".pth");
  }
  if (shards_.empty() || files != shards_.size()) {
    fail(ExitCode::kModel,
         "{}: has {} files consolidated.*.pth, of which {} follow one another from "
         "consolidated.00.pth; expected all of the model's",
         folder_.string(), files, shards_.size());
  }
}

void MetaSource::join(const TensorInfo& first) {
  auto [name, dim] = hugging_face_name(first.name);
  auto wrong = [&](const std::string& what) {
    fail(ExitCode::kModel, "{}: tensor '{}' {}", folder_.string(), first.name, what);
  };
  if (name.empty()) wrong("has no place in a LLaMA");
  TensorInfo whole = first;
  whole.name = name;
  if (dim >= 0 && first.shape.size() != 2) wrong("is no matrix");
  // LLaMA 1 and 2 split the embeddings by their width, LLaMA 3 by the vocabulary.
  if (name == kEmbedTokens) {
    const TensorInfo* norm = find_tensor(shards_.front().tensors(), "norm.weight");
    if (!norm || norm->shape.size() != 1) wrong("is there without norm.weight");
    dim = first.shape[1] == norm->shape[0] ? 0 : 1;
  }
  for (size_t i = 1; i < shards_.size(); ++i) {
    const TensorInfo* part = find_tensor(shards_[i].tensors(), first.name);
    if (!part || part->shape != first.shape || part->dtype != first.dtype) {
      wrong(fmt::format("is missing or other than in the first file in consolidated.{:02}.pth", i));
    }
    if (dim < 0) continue;
    whole.shape[static_cast<size_t>(dim)] += part->shape[static_cast<size_t>(dim)];
    whole.bytes += part->bytes;
  }
  joined_[name] = {first.name, dim};
  infos_.push_back(std::move(whole));
}

Json MetaSource::tokenizer_json() const { return hf_tokenizer_json(folder_); }

std::vector<std::pair<std::string, std::string>> MetaSource::side_files() const {
  std::vector<std::pair<std::string, std::string>> files;
  if (Json tokenizer = tokenizer_json_file(tokenizer_json(), folder_.string());
      !tokenizer.is_null()) {
    // The class that takes tokenizer.json as it is.
    Json config = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                   {"clean_up_tokenization_spaces", false},
                   {"model_max_length", config_["max_position_embeddings"]}};
    name_special_tokens(tokenizer, config_, config);
    files.emplace_back("tokenizer.json", tokenizer.dump(2) + "\n");
    files.emplace_back("tokenizer_config.json", config.dump(2) + "\n");
  }
  Json generation = {{"_from_model_config", true},
                     {"bos_token_id", config_["bos_token_id"]},
                     {"eos_token_id", config_["eos_token_id"]}};
  files.emplace_back("generation_config.json", generation.dump(2) + "\n");
  return files;
}

at::Tensor MetaSource::whole(const std::string& name) const {
  auto found = joined_.find(name);
  if (found == joined_.end()) {
    fail(ExitCode::kModel, "{}: has no tensor '{}'", folder_.string(), name);
  }
  const auto& [meta_name, dim] = found->second;
  if (dim < 0 || shards_.size() == 1) return shards_.front().tensor(meta_name);
  std::vector<at::Tensor> parts;
  for (const auto& shard : shards_) parts.push_back(shard.tensor(meta_name));
  return at::cat(parts, dim);
}

at::Tensor MetaSource::tensor(const std::string& name) const {
  const at::Tensor rows = whole(name);
  const auto heads = rotated_heads(name, config_["num_attention_heads"].get<int64_t>(),
                                   config_["num_key_value_heads"].get<int64_t>());
  return heads ? half_split_rows(rows, *heads, folder_.string(), name) : rows;
}

}  // namespace longspan
