#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>

namespace longspan {

/// A whole file mapped read-only. Throws Error(kModel) when it cannot be opened, is empty or a
/// pointer of Git LFS.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::byte* data() const { return data_; }
  int64_t size() const { return size_; }
  /// Reads the pages of these bytes from the disk into the system's cache, and returns when they
  /// are on their way: a slow disk holds the caller up.
  void will_need(int64_t offset, int64_t bytes) const;
  /// Takes the pages within these bytes out of the process; what is read again is read from the
  /// file again, or from the system's cache of it.
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

/// Bytes of a file.
struct MappedBytes {
  std::shared_ptr<const MappedFile> file;
  int64_t offset = 0, size = 0;

  void will_need() const { file->will_need(offset, size); }
  void forget() const { file->forget(offset, size); }
};

/// What a tensor of view_of, or a part of one, is a view of; nothing for a tensor in memory.
std::optional<MappedBytes> mapped_bytes(const at::Tensor& tensor);

}  // namespace longspan
