#include "checkpoints/hf_source.h"

#include <set>

#include "src/core/text.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

/// What transformers reads beside weights and config.json.
constexpr const char* kSideFiles[] = {"tokenizer.json",
                                      "tokenizer_config.json",
                                      "special_tokens_map.json",
                                      "added_tokens.json",
                                      "vocab.json",
                                      "merges.txt",
                                      "tokenizer.model",
                                      "chat_template.jinja",
                                      "generation_config.json"};

/// The files of weight_map, each once.
std::set<std::string> indexed_files(const Json& index, const fs::path& path) {
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object()) {
    fail(ExitCode::kModel, "{}: has no map 'weight_map'", path.string());
  }
  std::set<std::string> files;
  for (const auto& [tensor, file] : index["weight_map"].items()) {
    // A name with a slash could lead out of the folder.
    if (!file.is_string() || file.get<std::string>().find('/') != std::string::npos) {
      fail(ExitCode::kModel, "{}: weight_map.{}: {} is no file name", path.string(), tensor,
           file.dump());
    }
    files.insert(file.get<std::string>());
  }
  return files;
}

}  // namespace

HfSource::HfSource(const fs::path& folder) : folder_(folder) {
  if (!fs::exists(folder / "config.json")) {
    fail(ExitCode::kModel, "{}: has no config.json; expected a Hugging Face model folder",
         folder.string());
  }
  config_ = read_json_file(folder / "config.json", ExitCode::kModel);
  fs::path index_path = folder / "model.safetensors.index.json";
  if (fs::exists(folder / "model.safetensors")) {
    open_shard("model.safetensors");
    return;
  }
  if (!fs::exists(index_path)) {
    fail(ExitCode::kModel,
         "{}: has neither model.safetensors nor its index; other weight formats "
         "(pytorch_model.bin) cannot be read, save the model as safetensors first",
         folder.string());
  }
  Json index = read_json_file(index_path, ExitCode::kModel);
  for (const auto& file : indexed_files(index, index_path)) open_shard(file);
  for (const auto& [tensor, file] : index["weight_map"].items()) {
    if (!shard_of_.contains(tensor)) {
      fail(ExitCode::kModel, "{}: tensor '{}' is not in {}", index_path.string(), tensor,
           file.get<std::string>());
    }
  }
}

void HfSource::open_shard(const std::string& file_name) {
  shards_.emplace_back(folder_ / file_name);
  for (const auto& info : shards_.back().tensors()) {
    if (!shard_of_.emplace(info.name, shards_.size() - 1).second) {
      fail(ExitCode::kModel, "{}: tensor '{}' is in two shards", (folder_ / file_name).string(),
           info.name);
    }
  }
}

Json HfSource::tokenizer_json() const {
  fs::path path = folder_ / "tokenizer.json";
  if (!fs::exists(path)) return nullptr;
  std::string text = read_file(path, ExitCode::kModel);
  try {
    // Sorted first: parsing n keys into an ordered object takes n^2 comparisons, seconds here.
    return nlohmann::json::parse(text);
  } catch (const nlohmann::json::exception& e) {
    fail(ExitCode::kModel, "{}: not valid JSON: {}", path.string(), e.what());
  }
}

std::vector<std::pair<std::string, std::string>> HfSource::side_files() const {
  std::vector<std::pair<std::string, std::string>> files;
  for (const char* name : kSideFiles) {
    if (fs::exists(folder_ / name)) {
      files.emplace_back(name, read_file(folder_ / name, ExitCode::kModel));
    }
  }
  return files;
}

std::vector<TensorInfo> HfSource::tensors() const {
  std::vector<TensorInfo> infos;
  for (const auto& shard : shards_) {
    infos.insert(infos.end(), shard.tensors().begin(), shard.tensors().end());
  }
  return infos;
}

at::Tensor HfSource::tensor(const std::string& name) const {
  auto found = shard_of_.find(name);
  if (found == shard_of_.end()) {
    fail(ExitCode::kModel, "{}: has no tensor '{}'", folder_.string(), name);
  }
  return shards_[found->second].tensor(name);
}

}  // namespace longspan
