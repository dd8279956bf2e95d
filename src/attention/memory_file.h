#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>

namespace longspan {

/// Keeps tensors in a file without a name in `directory`, mapped into memory: the system holds as
/// many of its pages in RAM as it can spare. The file goes with the last tensor. What does not fit
/// on the disk throws Error(kFailure) that names the directory; what was put before stays.
class MemoryFile {
 public:
  /// Throws Error(kFailure) where no file can be made there.
  explicit MemoryFile(const std::filesystem::path& directory);
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  /// The same values, at their place in the file.
  at::Tensor put(const at::Tensor& tensor);

 private:
  std::filesystem::path directory_;
  int file_ = -1;
  int64_t bytes_ = 0;
};

}  // namespace longspan
