#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "checkpoints/safetensors.h"
#include "src/core/atomic_file.h"

namespace longspan {

/// Writes one file tensor by tensor, so that one tensor at a time is in memory. The file appears
/// when commit() is called. Metadata gets {"format": "pt"} added.
class SafetensorsWriter {
 public:
  /// Shapes and dtypes of all tensors, in the order in which add() will bring them; their `bytes`
  /// are ignored.
  SafetensorsWriter(const std::filesystem::path& path, std::vector<TensorInfo> tensors,
                    std::map<std::string, std::string> metadata = {});

  void add(const at::Tensor& tensor);
  void commit();

 private:
  AtomicFile file_;
  std::vector<TensorInfo> tensors_;
  size_t next_ = 0;
};

/// Writes tensors in the order given, aside and renamed. Returns the bytes of tensor data.
int64_t write_safetensors(const std::filesystem::path& path,
                          const std::vector<std::pair<std::string, at::Tensor>>& tensors,
                          std::map<std::string, std::string> metadata = {});

}  // namespace longspan
