#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <filesystem>
#include <memory>

namespace longspan {

/// A whole file mapped read-only. Throws Error(kModel) when it cannot be opened or is empty.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::byte* data() const { return data_; }
  int64_t size() const { return size_; }
  /// Takes the pages within these bytes out of the process; what is read again is read from the
  /// file again.
  void forget(int64_t offset, int64_t bytes) const;

 private:
  const std::byte* data_ = nullptr;
  int64_t size_ = 0;
};

/// A tensor over bytes `offset`... of the file, which it keeps mapped: read-only, so clone() before
/// writing to it. Its pages leave the process with it, so that reading a file tensor by tensor
/// takes the memory of one. Bytes that are not aligned to their dtype are copied instead.
at::Tensor view_of(std::shared_ptr<const MappedFile> file, int64_t offset, at::IntArrayRef shape,
                   at::ScalarType dtype);

}  // namespace longspan
