#include "src/core/file_lock.h"

#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>

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

}  // namespace longspan
