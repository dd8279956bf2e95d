#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "src/core/atomic_file.h"

namespace longspan {

struct TensorInfo {
  std::string name;
  std::string dtype;  // safetensors' name: "BF16", "F32", ...; GGUF's for a GGUF: "Q4_1"
  std::vector<int64_t> shape;
  int64_t bytes = 0;  // as stored
};

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
