#include "src/core/resumable_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "src/core/error.h"
#include "src/core/log.h"
#include "src/core/write_all.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

constexpr const char* kContent = ".content";
constexpr const char* kKept = "kept.json";  // {"bytes": how much of kContent is safely on disk}

/// 0 when there is nothing, or less than it claims.
int64_t kept_bytes(const fs::path& folder) {
  std::error_code none;
  auto there = fs::file_size(folder / kContent, none);
  if (none) return 0;
  try {
    Json kept = read_json_file(folder / kKept, ExitCode::kFailure);
    int64_t bytes = kept.is_object() && kept.contains("bytes") && kept["bytes"].is_number_integer()
                        ? kept["bytes"].get<int64_t>()
                        : 0;
    return bytes > 0 && static_cast<uint64_t>(bytes) <= there ? bytes : 0;
  } catch (const Error&) {
    return 0;
  }
}

}  // namespace

ResumableFile::ResumableFile(fs::path place, const Json& made_from)
    : place_(std::move(place)), folder_(place_, made_from) {
  size_ = ended_ = kept_ = kept_bytes(folder_.path());
  fs::path content = folder_.path() / kContent;
  file_ = open(content.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (file_ < 0 || ftruncate(file_, size_) != 0 || lseek(file_, size_, SEEK_SET) < 0) {
    int reason = errno;
    if (file_ >= 0) close(file_);
    fail(ExitCode::kFailure, "{}: cannot write: {}", content.string(), std::strerror(reason));
  }
}

ResumableFile::~ResumableFile() {
  if (file_ < 0) return;
  try {
    if (ended_ > kept_) keep();
  } catch (const Error& e) {
    log_warning(e.what());
  }
  close(file_);
}

void ResumableFile::write(std::string_view bytes) { write(bytes.data(), bytes.size()); }

void ResumableFile::write(const void* bytes, size_t size) {
  write_all(file_, bytes, size, size_, place_,
            "free some disk space, then give the same command again");
}

void ResumableFile::end_part() {
  ended_ = size_;
  if (since_kept_.seconds() > 1) keep();
}

void ResumableFile::keep() {
  if (fdatasync(file_) != 0) {
    fail(ExitCode::kFailure, "{}: cannot flush to disk: {}", place_.string(), std::strerror(errno));
  }
  write_json_file(folder_.path() / kKept, {{"bytes", ended_}});
  kept_ = ended_;
  since_kept_.restart();
}

void ResumableFile::commit() {
  keep();
  close(file_);
  file_ = -1;
  folder_.commit_file(kContent);
}

}  // namespace longspan
