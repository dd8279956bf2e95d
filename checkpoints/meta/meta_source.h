#pragma once

#include <map>

#include "checkpoints/model_source.h"
#include "checkpoints/tensor_file.h"

namespace longspan {

/// A LLaMA in the layout that Meta publishes ("original/" on the hub: params.json and
/// consolidated.00.pth, consolidated.01.pth, ...), seen as a Hugging Face model: the shards, each
/// of which has a part of every matrix, joined, tensor names mapped, the rows of q and k in
/// half-split order.
class MetaSource : public ModelSource {
 public:
  /// Whether the folder has params.json and no config.json.
  static bool is_one(const std::filesystem::path& folder);
  explicit MetaSource(const std::filesystem::path& folder);

  std::filesystem::path path() const override { return folder_; }
  std::string format() const override { return "meta"; }
  Json config_json() const override { return config_; }
  Json tokenizer_json() const override;
  std::vector<std::pair<std::string, std::string>> side_files() const override;
  std::vector<TensorInfo> tensors() const override { return infos_; }
  at::Tensor tensor(const std::string& name) const override;

 private:
  /// How the parts of a tensor make it.
  struct Joined {
    std::string meta_name;
    int64_t dim = -1;  // joined along it; -1: each shard has it whole
  };

  void open_shards();
  void join(const TensorInfo& first);
  /// The parts of all shards, with rows in Meta's order.
  at::Tensor whole(const std::string& name) const;
  /// Whether output.weight is a copy of tok_embeddings.weight, as in LLaMA 3.2's 1B and 3B.
  bool has_embeddings_twice() const;

  std::filesystem::path folder_;
  std::vector<TensorFile> shards_;
  std::map<std::string, Joined> joined_;  // by Hugging Face's names
  std::vector<TensorInfo> infos_;
  Json config_;
};

}  // namespace longspan
