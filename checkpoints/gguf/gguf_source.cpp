#include "checkpoints/gguf/gguf_source.h"

#include <ATen/TensorOperators.h>

#include "checkpoints/gguf/gguf_chat_templates.h"
#include "checkpoints/gguf/gguf_config.h"
#include "checkpoints/gguf/gguf_tokenizer.h"
#include "checkpoints/half_split_rows.h"
#include "checkpoints/sentencepiece/sentencepiece_json.h"
#include "src/core/resumable_folder.h"

namespace longspan {

GgufSource::GgufSource(const std::filesystem::path& path)
    : gguf_(path), architecture_(gguf_architecture(gguf_)), config_(gguf_config_json(gguf_)) {
  for (const auto& tensor : gguf_.tensors()) {
    if (tensor.name.starts_with("rope_f")) continue;  // in the config as rope_scaling
    std::string name = architecture_.hugging_face_name(tensor.name);
    if (name.empty()) {
      fail(ExitCode::kModel, "{}: tensor '{}' has no place in a {} model", gguf_.place(),
           tensor.name, architecture_.name);
    }
    by_name_[name] = &tensor;
  }
}

Json GgufSource::tokenizer_json() const { return gguf_tokenizer_json(gguf_); }

std::vector<std::pair<std::string, std::string>> GgufSource::side_files() const {
  std::vector<std::pair<std::string, std::string>> files;
  if (Json tokenizer = tokenizer_json_file(tokenizer_json(), gguf_.place()); !tokenizer.is_null()) {
    Json config = gguf_tokenizer_config_json(gguf_);
    files = read_gguf_chat_templates(gguf_, config);
    files.emplace_back("tokenizer.json", tokenizer.dump(2) + "\n");
    files.emplace_back("tokenizer_config.json", config.dump(2) + "\n");
  }
  Json generation = {{"_from_model_config", true}};
  for (const char* key : {"bos_token_id", "eos_token_id", "pad_token_id"}) {
    if (config_.contains(key)) generation[key] = config_[key];
  }
  files.emplace_back("generation_config.json", generation.dump(2) + "\n");
  return files;
}

std::vector<TensorInfo> GgufSource::tensors() const {
  std::vector<TensorInfo> infos;
  for (const auto& tensor : gguf_.tensors()) {
    std::string name = architecture_.hugging_face_name(tensor.name);
    if (name.empty()) continue;
    infos.push_back({name, std::string(tensor.type->name), tensor.shape, tensor.bytes});
  }
  return infos;
}

Json GgufSource::stamps() const {
  Json stamps = Json::array();
  for (const auto& file : gguf_.files()) stamps.push_back(file_stamps(file));
  return stamps;
}

at::Tensor GgufSource::tensor(const std::string& name) const {
  auto found = by_name_.find(name);
  if (found == by_name_.end()) {
    fail(ExitCode::kModel, "{}: has no tensor '{}'", gguf_.place(), name);
  }
  at::Tensor tensor = gguf_.tensor(*found->second);
  if (architecture_.zero_centered_norms && name.ends_with("norm.weight")) return tensor - 1;
  if (!architecture_.permuted) return tensor;
  const auto heads = rotated_heads(name, config_["num_attention_heads"].get<int64_t>(),
                                   config_["num_key_value_heads"].get<int64_t>());
  return heads ? half_split_rows(tensor, *heads, gguf_.place(), name) : tensor;
}

}  // namespace longspan
