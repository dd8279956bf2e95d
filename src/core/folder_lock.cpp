#include "src/core/folder_lock.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "src/core/error.h"
#include "src/core/file_lock.h"

namespace longspan {

FolderLock::FolderLock(const std::filesystem::path& folder)
    : folder_(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (folder_ < 0) {
    fail(ExitCode::kFailure, "{}: cannot open: {}", folder.string(), std::strerror(errno));
  }
  if (try_lock(folder_) == LockResult::kHeldByAnother) {
    close(folder_);
    fail(ExitCode::kFailure, "{}: another process is writing it; wait for its end",
         folder.string());
  }
}

FolderLock::~FolderLock() { close(folder_); }

}  // namespace longspan
