#include "checkpoints/mapped_file.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <c10/util/accumulate.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "src/core/error.h"

namespace longspan {

namespace {

int64_t page_bytes() {
  static const int64_t bytes = sysconf(_SC_PAGESIZE);
  return bytes;
}

/// The context of a view's memory, and what deletes it: by it the view is known again.
void delete_view(void* context) {
  std::unique_ptr<MappedBytes> view(static_cast<MappedBytes*>(context));
  view->forget();
}

}  // namespace

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
  constexpr std::string_view kPointer = "version https://git-lfs.github.com/";
  if (std::string_view(static_cast<const char*>(map), static_cast<size_t>(size_))
          .starts_with(kPointer)) {
    munmap(map, static_cast<size_t>(size_));
    fail(ExitCode::kModel,
         "{}: is a pointer of Git LFS, not the file; fetch it by git lfs pull, or the model by "
         "longspan pull",
         path.string());
  }
}

MappedFile::~MappedFile() {
  if (data_) munmap(const_cast<std::byte*>(data_), static_cast<size_t>(size_));
}

void MappedFile::will_need(int64_t offset, int64_t bytes) const {
  // Linux (6.18) reads no more for one call than the disk's read-ahead, often 128 KiB.
  constexpr int64_t kSlice = 128 << 10;
  int64_t end = std::min(offset + bytes, size_);
  for (int64_t at = offset / page_bytes() * page_bytes(); at < end; at += kSlice) {
    auto length = static_cast<size_t>(std::min(kSlice, end - at));
    madvise(const_cast<std::byte*>(data_) + at, length, MADV_WILLNEED);
  }
}

void MappedFile::forget(int64_t offset, int64_t bytes) const {
  int64_t page = page_bytes();
  int64_t begin = (offset + page - 1) / page * page, end = (offset + bytes) / page * page;
  if (begin < end) {
    madvise(const_cast<std::byte*>(data_) + begin, static_cast<size_t>(end - begin), MADV_DONTNEED);
  }
}

at::Tensor view_of(std::shared_ptr<const MappedFile> file, int64_t offset, at::IntArrayRef shape,
                   at::ScalarType dtype) {
  auto* bytes = const_cast<std::byte*>(file->data() + offset);
  if (reinterpret_cast<uintptr_t>(bytes) % c10::elementSize(dtype) != 0) {
    at::Tensor copy = at::empty(shape, dtype);
    std::copy_n(bytes, copy.nbytes(), static_cast<std::byte*>(copy.data_ptr()));
    return copy;
  }
  auto size = static_cast<int64_t>(c10::elementSize(dtype)) * c10::multiply_integers(shape);
  auto view = std::make_unique<MappedBytes>(MappedBytes{std::move(file), offset, size});
  return at::for_blob(bytes, shape)
      .context(view.release(), delete_view)
      .options(at::TensorOptions(dtype))
      .make_tensor();
}

std::optional<MappedBytes> mapped_bytes(const at::Tensor& tensor) {
  if (!tensor.defined() || !tensor.has_storage()) return std::nullopt;
  const auto* view = tensor.storage().data_ptr().cast_context<MappedBytes>(delete_view);
  return view ? std::optional(*view) : std::nullopt;
}

}  // namespace longspan
