#include "tools/hub/partial_download.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "src/core/error.h"
#include "src/core/file_lock.h"
#include "src/core/write_all.h"

namespace longspan {

namespace fs = std::filesystem;

PartialDownload::PartialDownload(fs::path path)
    : path_(std::move(path)), file_(claim(path_, path_, [&] {
        return open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
      })) {
  size_ = lseek(file_, 0, SEEK_END);
}

PartialDownload::~PartialDownload() { close(file_); }

void PartialDownload::append(std::string_view bytes) {
  write_all(file_, bytes.data(), bytes.size(), size_, path_,
            "free some space; the same command goes on from here");
}

void PartialDownload::restart() {
  if (ftruncate(file_, 0) != 0 || lseek(file_, 0, SEEK_SET) != 0) refuse("cannot truncate");
  size_ = 0;
}

void PartialDownload::move_to(const fs::path& place) {
  if (fsync(file_) != 0) refuse("cannot write");
  fs::rename(path_, place);
}

void PartialDownload::refuse(const char* what) const {
  fail(ExitCode::kFailure, "{}: {}: {}", path_.string(), what, std::strerror(errno));
}

}  // namespace longspan
