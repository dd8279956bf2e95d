#include "src/core/file_lock.h"

#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "src/core/error.h"

namespace longspan {

LockResult try_lock(int file) {
  if (flock(file, LOCK_EX | LOCK_NB) == 0) return LockResult::kLocked;
  return errno == EWOULDBLOCK ? LockResult::kHeldByAnother : LockResult::kUnsupported;
}

bool is_at(int file, const std::filesystem::path& path) {
  struct stat held = {}, there = {};
  return fstat(file, &held) == 0 && stat(path.c_str(), &there) == 0 &&
         held.st_dev == there.st_dev && held.st_ino == there.st_ino;
}

int claim(const std::filesystem::path& part, const std::filesystem::path& place,
          const std::function<int()>& open_part) {
  for (;;) {
    const int file = open_part();
    if (file < 0) {
      fail(ExitCode::kFailure, "{}: cannot write: {}", place.string(), std::strerror(errno));
    }
    if (try_lock(file) == LockResult::kHeldByAnother) {
      close(file);
      fail(ExitCode::kFailure,
           "{}: another process is writing it, or this one already; wait for its end, or name "
           "another",
           place.string());
    }
    if (is_at(file, part)) return file;
    close(file);
  }
}

}  // namespace longspan
