#pragma once

#include <map>

#include "checkpoints/model_source.h"
#include "checkpoints/tensor_file.h"

namespace longspan {

/// A Hugging Face folder: config.json and, the first there is, model.safetensors, the shards that
/// model.safetensors.index.json lists, pytorch_model.bin, or the shards of its index.
class HfSource : public ModelSource {
 public:
  explicit HfSource(const std::filesystem::path& folder);
  /// The same with the one file of weights named instead.
  HfSource(const std::filesystem::path& folder, const std::string& weights);

  std::filesystem::path path() const override { return folder_; }
  std::string format() const override { return "huggingface"; }
  Json config_json() const override { return config_; }
  Json tokenizer_json() const override;
  std::vector<std::pair<std::string, std::string>> side_files() const override;
  std::vector<TensorInfo> tensors() const override;
  at::Tensor tensor(const std::string& name) const override;
  Json stamps() const override;

 private:
  /// One without a model of its own throws Error(kModel).
  void refuse_adapter() const;
  void read_config();
  void open_shard(const std::string& file_name);
  void open_indexed(const std::filesystem::path& index_path);

  std::filesystem::path folder_;
  std::string weights_;  // the file named; "" for the folder's own
  Json config_;
  std::vector<TensorFile> shards_;
  std::map<std::string, size_t> shard_of_;  // by tensor name
};

}  // namespace longspan
