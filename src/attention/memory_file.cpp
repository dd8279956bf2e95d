#include "src/attention/memory_file.h"

#include <ATen/ops/from_blob.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "src/core/error.h"
#include "src/core/unnamed_file.h"

namespace longspan {

namespace {

int64_t in_whole_pages(int64_t bytes) {
  const int64_t page = sysconf(_SC_PAGESIZE);
  return (bytes + page - 1) / page * page;
}

}  // namespace

MemoryFile::MemoryFile(const std::filesystem::path& directory) : directory_(directory) {
  std::error_code ignored;  // opening says it better
  std::filesystem::create_directories(directory_, ignored);
  file_ = open_unnamed_file(directory_);
  if (file_ >= 0) return;
  fail(ExitCode::kFailure, "mem_dir: {}: cannot make a file there: {}; name a folder on a disk",
       directory_.string(), std::strerror(errno));
}

MemoryFile::~MemoryFile() { close(file_); }

at::Tensor MemoryFile::put(const at::Tensor& tensor) {
  const at::Tensor from = tensor.cpu().contiguous();
  const auto bytes = static_cast<int64_t>(from.nbytes());
  if (bytes == 0) return from;
  const int64_t size = in_whole_pages(bytes);
  // A hole that the disk cannot fill would be a SIGBUS later.
  int reason = posix_fallocate(file_, bytes_, size);
  void* place = MAP_FAILED;
  if (reason == 0) {
    place =
        mmap(nullptr, static_cast<size_t>(size), PROT_READ | PROT_WRITE, MAP_SHARED, file_, bytes_);
    if (place == MAP_FAILED) reason = errno;
    if (reason == ENOMEM) {
      fail(
          ExitCode::kFailure,
          "mem_dir: {}: the system maps no more behind {} bytes; raise vm.max_map_count by sysctl, "
          "or take fewer mem_layers",
          directory_.string(), bytes_);
    }
  }
  if (reason != 0) {
    fail(ExitCode::kFailure,
         "mem_dir: {}: no room for {} bytes of memory behind the {} that it holds: {}; name a "
         "folder with more, or take a smaller mem_dtype",
         directory_.string(), size, bytes_, std::strerror(reason));
  }
  bytes_ += size;
  std::memcpy(place, from.const_data_ptr(), static_cast<size_t>(bytes));
  const auto unmap = [size](void* mapped) {
    // Gives the disk its room back: a question's windows go before the passage does.
    madvise(mapped, static_cast<size_t>(size), MADV_REMOVE);
    munmap(mapped, static_cast<size_t>(size));
  };
  return at::from_blob(place, from.sizes(), unmap, from.options());
}

}  // namespace longspan
