#pragma once

#include <map>

#include "checkpoints/gguf/gguf.h"
#include "checkpoints/gguf/gguf_architecture.h"
#include "checkpoints/model_source.h"

namespace longspan {

/// A GGUF of one of llama.cpp's architectures that is a family of ours, seen as a Hugging Face
/// model: tensor names mapped, the rows of q and k put back into the half-split order that
/// llama.cpp's converter permuted, 1 taken off norms that it was added to.
class GgufSource : public ModelSource {
 public:
  explicit GgufSource(const std::filesystem::path& path);

  std::filesystem::path path() const override { return gguf_.place(); }
  std::vector<std::filesystem::path> files() const override { return gguf_.files(); }
  std::string format() const override { return "gguf"; }
  Json config_json() const override { return config_; }
  Json tokenizer_json() const override;
  std::vector<std::pair<std::string, std::string>> side_files() const override;
  std::vector<TensorInfo> tensors() const override;
  at::Tensor tensor(const std::string& name) const override;
  Json stamps() const override;

 private:
  GgufReader gguf_;
  const GgufArchitecture& architecture_;
  Json config_;
  std::map<std::string, const GgufTensor*> by_name_;  // Hugging Face's names
};

}  // namespace longspan
