#include "tools/hub/part_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "src/core/error.h"

namespace longspan {

namespace fs = std::filesystem;

PartFile::PartFile(fs::path path)
    : path_(std::move(path)), file_(open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
  if (file_ < 0) refuse("cannot write");
  if (flock(file_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    close(file_);
    fail(ExitCode::kFailure, "{}: another process is downloading it", path_.string());
  }
  size_ = lseek(file_, 0, SEEK_END);
}

PartFile::~PartFile() { close(file_); }

void PartFile::append(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t written = write(file_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) refuse("cannot write");
    bytes.remove_prefix(static_cast<size_t>(written));
    size_ += written;
  }
}

void PartFile::restart() {
  if (ftruncate(file_, 0) != 0 || lseek(file_, 0, SEEK_SET) != 0) refuse("cannot truncate");
  size_ = 0;
}

void PartFile::move_to(const fs::path& place) {
  if (fsync(file_) != 0) refuse("cannot write");
  fs::rename(path_, place);
}

void PartFile::refuse(const char* what) const {
  fail(ExitCode::kFailure, "{}: {}: {}", path_.string(), what, std::strerror(errno));
}

}  // namespace longspan
