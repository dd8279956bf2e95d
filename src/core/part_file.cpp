#include "src/core/part_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "src/core/error.h"
#include "src/core/file_lock.h"

namespace longspan {

namespace fs = std::filesystem;

PartFile::PartFile(fs::path path) : path_(std::move(path)), part_(path_.string() + ".part") {
  std::error_code error;
  if (path_.has_parent_path()) fs::create_directories(path_.parent_path(), error);
  file_ =
      claim(part_, path_, [&] { return open(part_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644); });
}

PartFile::PartFile(PartFile&& other) noexcept
    : path_(std::move(other.path_)),
      part_(std::move(other.part_)),
      file_(std::exchange(other.file_, -1)) {}

PartFile::~PartFile() {
  if (file_ < 0) return;
  unlink(part_.c_str());
  close(file_);
}

void PartFile::commit() {
  if (fsync(file_) != 0 || rename(part_.c_str(), path_.c_str()) != 0) {
    fail(ExitCode::kFailure, "{}: cannot finish writing: {}", path_.string(), std::strerror(errno));
  }
  close(std::exchange(file_, -1));
}

}  // namespace longspan
