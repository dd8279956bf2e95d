#pragma once

#include <variant>

#include "checkpoints/safetensors.h"
#include "checkpoints/torch/torch_checkpoint.h"

namespace longspan {

/// Whether its ending, in letters of either case, is that of one.
bool is_tensor_file(const std::filesystem::path& path);

/// One file of named tensors: .safetensors, or PyTorch's .bin, .pt and .pth.
class TensorFile {
 public:
  /// Throws Error(kModel) naming the file and what is wrong.
  explicit TensorFile(const std::filesystem::path& path);

  const std::vector<TensorInfo>& tensors() const;
  /// A read-only view of the file: clone() before writing to it.
  at::Tensor tensor(const std::string& name) const;

 private:
  std::variant<SafetensorsReader, TorchCheckpoint> reader_;
};

}  // namespace longspan
