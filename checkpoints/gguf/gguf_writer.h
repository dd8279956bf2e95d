#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoints/gguf/gguf_blocks.h"
#include "src/core/resumable_file.h"

namespace longspan {

/// The key/value pairs of a GGUF, in the order set.
class GgufMetadata {
 public:
  void set(std::string_view key, bool value);
  void set(std::string_view key, uint32_t value);
  void set(std::string_view key, float value);
  void set(std::string_view key, std::string_view value);
  void set(std::string_view key, const char* value) { set(key, std::string_view(value)); }
  void set(std::string_view key, const std::vector<std::string>& values);
  void set(std::string_view key, const std::vector<int32_t>& values);
  void set(std::string_view key, const std::vector<float>& values);
  /// A length or a number of things: llama.cpp reads them as uint32, and one beyond throws
  /// Error(kModel).
  void set_whole(std::string_view key, int64_t value);

  uint64_t size() const { return size_; }
  const std::string& bytes() const { return bytes_; }

 private:
  void begin(std::string_view key, uint32_t type);

  std::string bytes_;
  uint64_t size_ = 0;
};

/// A tensor as it will be in the file.
struct GgufTensorPlan {
  std::string name;
  const GgmlType* type = nullptr;
  std::vector<int64_t> shape;  // PyTorch's order; the last divides into the type's blocks
  int64_t bytes() const;
};

/// Writes a GGUF of version 3 tensor by tensor, in the dtype of the plan; a tensor is converted a
/// few rows at a time, so that little more than it is in memory. The file appears when commit() is
/// called; what an interrupted writer of the same plan and `made_from` wrote is gone on with.
/// Format: ggml docs/gguf.md.
class GgufWriter {
 public:
  /// `made_from` is what decides the tensors' values; see ResumableFile.
  GgufWriter(const std::filesystem::path& path, const GgufMetadata& metadata,
             std::vector<GgufTensorPlan> tensors, Json made_from);

  /// The place in the plan of the tensor that add() expects; not 0 when it goes on.
  size_t next() const { return next_; }
  int64_t size_bytes() const { return file_.size_bytes(); }
  /// The next tensor of the plan, of any floating-point dtype.
  void add(const at::Tensor& tensor);
  void commit();

 private:
  void pad();

  ResumableFile file_;
  std::vector<GgufTensorPlan> tensors_;
  size_t next_ = 0;
};

/// What GgufWriter will write.
int64_t gguf_file_bytes(const GgufMetadata& metadata, const std::vector<GgufTensorPlan>& tensors);

}  // namespace longspan
