#include "checkpoints/hf/hf_source.h"

#include <set>

#include "checkpoints/hf/hf_tokenizer.h"
#include "src/core/resumable_folder.h"
#include "src/core/text.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

/// The files of weight_map, each once.
std::set<std::string> indexed_files(const Json& index, const fs::path& path) {
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object()) {
    fail(ExitCode::kModel, "{}: has no map 'weight_map'", path.string());
  }
  std::set<std::string> files;
  for (const auto& [tensor, file] : index["weight_map"].items()) {
    // A name with a slash could lead out of the folder, and the system ends one at a NUL.
    constexpr std::string_view kForbidden("/\0", 2);
    if (!file.is_string() ||
        file.get_ref<const std::string&>().find_first_of(kForbidden) != std::string::npos) {
      fail(ExitCode::kModel, "{}: weight_map.{}: {} is no file name", path.string(), tensor,
           file.dump());
    }
    files.insert(file.get<std::string>());
  }
  return files;
}

}  // namespace

HfSource::HfSource(const fs::path& folder) : folder_(folder) {
  read_config();
  for (const char* name : {"model.safetensors", "pytorch_model.bin"}) {
    fs::path index = folder / fmt::format("{}.index.json", name);
    bool single = fs::exists(folder / name);
    if (!single && !fs::exists(index)) continue;
    if (single) {
      open_shard(name);
    } else {
      open_indexed(index);
    }
    return;
  }
  refuse_adapter();
  fail(ExitCode::kModel,
       "{}: has neither model.safetensors nor pytorch_model.bin, nor an index of either",
       folder.string());
}

HfSource::HfSource(const fs::path& folder, const std::string& weights)
    : folder_(folder), weights_(weights) {
  read_config();
  open_shard(weights);
}

void HfSource::refuse_adapter() const {
  if (!fs::exists(folder_ / "adapter_config.json")) return;
  fail(ExitCode::kModel,
       "{}: is a PEFT adapter and holds no model; longspan merge BASE {} OUT puts it on its base",
       folder_.string(), folder_.string());
}

void HfSource::read_config() {
  if (fs::exists(folder_ / "config.json")) {
    config_ = read_json_file(folder_ / "config.json", ExitCode::kModel);
    return;
  }
  refuse_adapter();
  fail(ExitCode::kModel,
       "{}: has no config.json; expected a Hugging Face model folder, one of Meta's layout, or a "
       ".gguf file",
       folder_.string());
}

void HfSource::open_indexed(const fs::path& index_path) {
  Json index = read_json_file(index_path, ExitCode::kModel);
  for (const auto& file : indexed_files(index, index_path)) {
    if (!fs::exists(folder_ / file)) {
      fail(ExitCode::kModel, "{}: names {}, which is not there; download or copy it again",
           index_path.string(), file);
    }
    open_shard(file);
  }
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

Json HfSource::tokenizer_json() const { return hf_tokenizer_json(folder_); }

std::vector<std::pair<std::string, std::string>> HfSource::side_files() const {
  auto files = hf_tokenizer_files(folder_);
  constexpr const char* kGeneration = "generation_config.json";
  if (fs::exists(folder_ / kGeneration)) {
    files.emplace_back(kGeneration, read_file(folder_ / kGeneration, ExitCode::kModel));
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

Json HfSource::stamps() const {
  Json stamps = file_stamps(folder_);
  if (!weights_.empty()) stamps.push_back(weights_);
  return stamps;
}

}  // namespace longspan
