#include "checkpoints/mapped_file.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <c10/util/accumulate.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "src/core/error.h"

namespace longspan {

MappedFile::MappedFile(const std::filesystem::path& path) {
  // Not to wait for whoever writes into a pipe of that name.
  int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
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

void MappedFile::forget(int64_t offset, int64_t bytes) const {
  static const int64_t page = sysconf(_SC_PAGESIZE);
  int64_t begin = (offset + page - 1) / page * page, end = (offset + bytes) / page * page;
  if (begin < end) {
    madvise(const_cast<std::byte*>(data_) + begin, static_cast<size_t>(end - begin), MADV_DONTNEED);
  }
}

at::Tensor view_of(std::shared_ptr<const MappedFile> file, int64_t offset, at::IntArrayRef shape,
                   at::ScalarType dtype) {
  void* bytes = const_cast<std::byte*>(file->data() + offset);
  if (reinterpret_cast<uintptr_t>(bytes) % c10::elementSize(dtype) != 0) {
    at::Tensor copy = at::empty(shape, dtype);
    std::memcpy(copy.data_ptr(), bytes, copy.nbytes());
    return copy;
  }
  auto size = static_cast<int64_t>(c10::elementSize(dtype)) * c10::multiply_integers(shape);
  return at::from_blob(
      bytes, shape, [file, offset, size](void*) { file->forget(offset, size); },
      at::TensorOptions(dtype));
}

}  // namespace longspan
