#pragma once

#include <map>

#include "checkpoints/model_source.h"

namespace longspan {

/// A Hugging Face folder: config.json and model.safetensors, or the shards that
/// model.safetensors.index.json lists.
class HfSource : public ModelSource {
 public:
  explicit HfSource(const std::filesystem::path& folder);

  std::filesystem::path path() const override { return folder_; }
  std::string format() const override { return "huggingface"; }
  Json config_json() const override { return config_; }
  Json tokenizer_json() const override;
  std::vector<std::pair<std::string, std::string>> side_files() const override;
  std::vector<TensorInfo> tensors() const override;
  at::Tensor tensor(const std::string& name) const override;

 private:
  void open_shard(const std::string& file_name);

  std::filesystem::path folder_;
  Json config_;
  std::vector<SafetensorsReader> shards_;
  std::map<std::string, size_t> shard_of_;  // by tensor name
};

}  // namespace longspan
