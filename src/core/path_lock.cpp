#include "src/core/path_lock.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "src/core/error.h"
#include "src/core/file_lock.h"

namespace longspan {

PathLock::PathLock(const std::filesystem::path& path)
    : file_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  if (file_ < 0) {
    fail(ExitCode::kFailure, "{}: cannot open: {}", path.string(), std::strerror(errno));
  }
  if (try_lock(file_) == LockResult::kHeldByAnother) {
    close(file_);
    fail(ExitCode::kFailure, "{}: another process is writing it; wait for its end", path.string());
  }
}

PathLock::~PathLock() { close(file_); }

}  // namespace longspan
