#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "checkpoints/gguf_blocks.h"
#include "checkpoints/mapped_file.h"
#include "src/core/json.h"

namespace longspan {

struct GgufTensor {
  std::string name;
  const GgmlType* type = nullptr;
  std::vector<int64_t> shape;  // PyTorch's order: the last dimension is contiguous
  int64_t elements = 0;
  int64_t bytes = 0;
  int64_t offset = 0;  // in the file
};

/// A .gguf file of version 2 or 3, memory-mapped (ggml docs/gguf.md). Every count and length is
/// checked against the file before it is believed; what is wrong throws Error(kModel).
class GgufReader {
 public:
  explicit GgufReader(const std::filesystem::path& path);

  const std::string& place() const { return place_; }
  const std::map<std::string, Json>& metadata() const { return metadata_; }
  /// nullptr when the key is not there. The others below throw Error(kModel) on another type, and
  /// without a fallback on a missing key.
  const Json* value(const std::string& key) const;
  int64_t integer(const std::string& key, std::optional<int64_t> fallback = {}) const;
  double number(const std::string& key, std::optional<double> fallback = {}) const;
  std::string text(const std::string& key, std::optional<std::string> fallback = {}) const;

  const std::vector<GgufTensor>& tensors() const { return tensors_; }
  /// nullptr when there is none of that name.
  const GgufTensor* find(const std::string& name) const;
  /// F32, F16 and BF16 as a read-only view, block types dequantised to float32.
  at::Tensor tensor(const GgufTensor& tensor) const;

 private:
  std::string place_;
  std::shared_ptr<const MappedFile> file_;
  std::map<std::string, Json> metadata_;
  std::vector<GgufTensor> tensors_;
};

}  // namespace longspan
