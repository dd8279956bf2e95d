#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "checkpoints/gguf/gguf_header.h"

namespace longspan {

/// A .gguf file, memory-mapped (see gguf_header.h), or the first of those that llama.cpp's
/// gguf-split makes of one, NAME-00001-of-0000N.gguf: then the metadata is the first's, and the
/// tensors are those of all, which must lie beside it. What is wrong throws Error(kModel).
class GgufReader {
 public:
  explicit GgufReader(const std::filesystem::path& path);

  const std::string& place() const { return place_; }
  /// The file, or all parts of a split one.
  const std::vector<std::filesystem::path>& files() const { return files_; }
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
  void read_split(const std::filesystem::path& path, int64_t count);

  std::string place_;
  std::vector<std::filesystem::path> files_;
  std::map<std::string, Json> metadata_;
  std::vector<GgufTensor> tensors_;
};

}  // namespace longspan
