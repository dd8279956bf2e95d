#include "src/nn/spill_file.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "src/core/crc32c.h"
#include "src/core/disk_space.h"
#include "src/core/log.h"
#include "src/core/text.h"
#include "src/core/unnamed_file.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

void warn_if_ram(const fs::path& directory) {
  struct statfs system;
  if (statfs(directory.c_str(), &system) != 0 || system.f_type != TMPFS_MAGIC) return;
  log_warning("memory.offload_dir: {} is a tmpfs, which is RAM too; name a folder on a disk",
              directory.string());
}

}  // namespace

SpillFile::SpillFile(fs::path directory, int64_t expected_bytes)
    : directory_(std::move(directory)), expected_bytes_(expected_bytes) {}

SpillFile::~SpillFile() {
  if (file_ >= 0) close(file_);
}

uint32_t SpillFile::write(const void* block, int64_t bytes, int64_t offset) {
  if (file_ < 0) open();
  const char* from = static_cast<const char*>(block);
  for (int64_t done = 0; done < bytes;) {
    ssize_t written = pwrite(file_, from + done, bytes - done, offset + done);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail_to_write(errno, offset + done);
    done += written;
  }
  // The disk starts on this block while the next one is computed and copied.
  sync_file_range(file_, offset, bytes, SYNC_FILE_RANGE_WRITE);
  flush_and_drop(unflushed_offset_, unflushed_bytes_);
  unflushed_offset_ = offset;
  unflushed_bytes_ = bytes;
  return crc32c(block, bytes);
}

void SpillFile::read(void* block, int64_t bytes, int64_t offset, uint32_t checksum) {
  char* to = static_cast<char*>(block);
  for (int64_t done = 0; done < bytes;) {
    ssize_t count = pread(file_, to + done, bytes - done, offset + done);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      fail(ExitCode::kFailure, "memory.offload_dir: {}: cannot read byte {} of the file: {}",
           directory_.string(), offset + done, count < 0 ? std::strerror(errno) : "it ends there");
    }
    done += count;
  }
  if (crc32c(block, bytes) != checksum) {
    fail(ExitCode::kFailure,
         "memory.offload_dir: {}: the {} bytes at byte {} of the file are not what was written; "
         "the disk or the memory is faulty: check them, or offload to another disk, and resume",
         directory_.string(), bytes, offset);
  }
  posix_fadvise(file_, offset, bytes, POSIX_FADV_DONTNEED);
}

void SpillFile::open() {
  std::error_code status;
  fs::create_directories(directory_, status);
  require_disk_space(directory_, expected_bytes_);
  warn_if_ram(directory_);
  file_ = open_unnamed_file(directory_);
  if (file_ < 0) {
    fail(ExitCode::kFailure,
         "memory.offload_dir: {}: cannot make a file there: {}; name a folder that can be written",
         directory_.string(), std::strerror(errno));
  }
}

void SpillFile::flush_and_drop(int64_t offset, int64_t bytes) {
  if (bytes == 0) return;
  constexpr unsigned kFlush =
      SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
  bool flushed = sync_file_range(file_, offset, bytes, kFlush) == 0;
  // Others say that this file system has no such call.
  if (!flushed && (errno == EIO || errno == ENOSPC || errno == EDQUOT))
    fail_to_write(errno, offset);
  posix_fadvise(file_, offset, bytes, POSIX_FADV_DONTNEED);
}

void SpillFile::fail_to_write(int reason, int64_t offset) const {
  const std::optional<int64_t> free = free_disk_bytes(directory_);
  fail(ExitCode::kFailure,
       "memory.offload_dir: {}: cannot write beyond {} of activations: {}{}; free some, name a "
       "folder on another disk, or raise memory.offload_ram",
       directory_.string(), human_bytes(offset), std::strerror(reason),
       free ? fmt::format("; {} are free", human_bytes(*free)) : "");
}

}  // namespace longspan
