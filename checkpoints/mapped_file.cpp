#include "checkpoints/mapped_file.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "src/core/error.h"

namespace longspan {

MappedFile::MappedFile(const std::filesystem::path& path) {
  int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) fail(ExitCode::kModel, "{}: cannot open: {}", path.string(), std::strerror(errno));
  struct stat status {};
  bool regular = fstat(file, &status) == 0 && S_ISREG(status.st_mode);
  void* map = MAP_FAILED;
  if (regular && status.st_size > 0) {
    map = mmap(nullptr, static_cast<size_t>(status.st_size), PROT_READ, MAP_PRIVATE, file, 0);
  }
  int reason = errno;
  close(file);
  if (!regular) fail(ExitCode::kModel, "{}: is no regular file", path.string());
  if (status.st_size == 0) fail(ExitCode::kModel, "{}: is empty", path.string());
  if (map == MAP_FAILED) {
    fail(ExitCode::kModel, "{}: cannot map: {}", path.string(), std::strerror(reason));
  }
  data_ = static_cast<const std::byte*>(map);
  size_ = status.st_size;
}

MappedFile::~MappedFile() {
  if (data_) munmap(const_cast<std::byte*>(data_), static_cast<size_t>(size_));
}

at::Tensor view_of(std::shared_ptr<const MappedFile> file, int64_t offset, at::IntArrayRef shape,
                   at::ScalarType dtype) {
  void* bytes = const_cast<std::byte*>(file->data() + offset);
  if (reinterpret_cast<uintptr_t>(bytes) % c10::elementSize(dtype) != 0) {
    at::Tensor copy = at::empty(shape, dtype);
    std::memcpy(copy.data_ptr(), bytes, copy.nbytes());
    return copy;
  }
  return at::from_blob(
      bytes, shape, [file](void*) {}, at::TensorOptions(dtype));
}

}  // namespace longspan
