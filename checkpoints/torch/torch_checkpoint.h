#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "checkpoints/mapped_file.h"
#include "checkpoints/safetensors.h"

namespace longspan {

/// One .bin, .pt or .pth of torch.save (PyTorch 1.6 and later) with a state dict, memory-mapped.
/// No code of the file runs (see unpickler.h). What is not such a file, is damaged, or asks for
/// more than weights throws Error(kModel) that says so.
class TorchCheckpoint {
 public:
  explicit TorchCheckpoint(const std::filesystem::path& path);

  const std::vector<TensorInfo>& tensors() const { return infos_; }  // in the state dict's order
  /// A contiguous tensor: a read-only view of the map that keeps it alive, or a copy where the
  /// stored one is strided. clone() before writing to it.
  at::Tensor tensor(const std::string& name) const;

 private:
  struct Window;

  std::string path_;
  std::shared_ptr<const MappedFile> file_;
  std::vector<TensorInfo> infos_;
  std::map<std::string, std::shared_ptr<const Window>> windows_;  // by tensor name
};

}  // namespace longspan
