#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "checkpoints/tensor_info.h"

namespace longspan {

/// One .safetensors file, memory-mapped. Checks the whole header: lengths, overlaps, holes, shapes
/// against bytes, duplicate names; what is wrong throws Error(kModel) with file and tensor.
/// Format: huggingface/safetensors README.md.
class SafetensorsReader {
 public:
  explicit SafetensorsReader(const std::filesystem::path& path);
  ~SafetensorsReader();

  const std::vector<TensorInfo>& tensors() const;  // in the order of their bytes
  const std::map<std::string, std::string>& metadata() const;
  bool contains(const std::string& name) const;
  /// A read-only view of the map that keeps it alive; clone() before writing to it.
  at::Tensor tensor(const std::string& name) const;

 private:
  struct Map;
  std::shared_ptr<Map> map_;
};

}  // namespace longspan
