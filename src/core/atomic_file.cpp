#include "src/core/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "src/core/error.h"
#include "src/core/write_all.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

fs::path require_replaceable(fs::path path) {
  std::error_code unknown;
  if (fs::exists(path, unknown) && !fs::is_regular_file(path)) {
    fail(ExitCode::kFailure, "{}: is a folder or a device, and no file to replace", path.string());
  }
  return path;
}

void sync_path(const fs::path& path) {
  int file = open(path.c_str(), O_RDONLY);
  bool synced = file >= 0 && fsync(file) == 0;
  int reason = errno;
  if (file >= 0) close(file);
  if (!synced) {
    fail(ExitCode::kFailure, "{}: cannot flush to disk: {}", path.string(), std::strerror(reason));
  }
}

}  // namespace

AtomicFile::AtomicFile(fs::path path)
    : path_(require_replaceable(std::move(path))), part_(path_, UnfinishedPart::Kind::kFile) {}

void AtomicFile::write(std::string_view bytes) { write(bytes.data(), bytes.size()); }

void AtomicFile::write(const void* bytes, size_t size) {
  write_all(part_.file(), bytes, size, size_, path_, "free some disk space or write elsewhere");
}

void AtomicFile::commit() {
  if (fsync(part_.file()) != 0 || rename(part_.path().c_str(), path_.c_str()) != 0) {
    fail(ExitCode::kFailure, "{}: cannot finish writing: {}", path_.string(), std::strerror(errno));
  }
  part_.release();
}

void write_file(const fs::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

AtomicFolder::AtomicFolder(fs::path place)
    : place_(without_trailing_slash(std::move(place))),
      part_(place_, UnfinishedPart::Kind::kFolder) {}

void AtomicFolder::commit() {
  move_into_place(part_.path(), place_);
  part_.release();
}

void move_into_place(const fs::path& part, const fs::path& place) {
  for (const auto& entry : fs::recursive_directory_iterator(part)) {
    if (entry.is_regular_file()) sync_path(entry.path());
  }
  sync_path(part);
  std::error_code status;
  fs::path older = part.string() + ".older";
  bool replaces = fs::exists(place);
  if (replaces) {
    fs::remove_all(older, status);  // of a process that was killed as it removed it
    if (status) {
      fail(ExitCode::kFailure, "{}: is in the way of {} and cannot be removed: {}", older.string(),
           place.string(), status.message());
    }
    fs::rename(place, older, status);
  }
  if (!status) {
    fs::rename(part, place, status);
    std::error_code ignored;
    if (status && replaces) fs::rename(older, place, ignored);
  }
  if (status) {
    fail(ExitCode::kFailure, "{}: cannot move into place: {}", place.string(), status.message());
  }
  fs::remove_all(older, status);
}

fs::path without_trailing_slash(fs::path path) {
  path = path.lexically_normal();
  return path.has_filename() ? path : path.parent_path();
}

void require_output_file(const fs::path& out, const std::vector<fs::path>& inputs) {
  if (!out.has_filename()) {
    fail(ExitCode::kUsage, "'{}': is no name of a file; give one", out.string());
  }
  std::error_code unknown;
  if (!fs::exists(out, unknown)) {
    if (!fs::is_symlink(fs::symlink_status(out, unknown))) return;
    fail(ExitCode::kUsage, "{}: is a link to nothing; remove it, or name the file itself",
         out.string());
  }
  if (!fs::is_regular_file(out)) {
    fail(ExitCode::kUsage, "{}: is a folder or a device; give the name of a file", out.string());
  }
  for (const auto& input : inputs) {
    if (fs::equivalent(out, input, unknown)) {
      fail(ExitCode::kUsage, "{}: is read here, and would be lost; give another name",
           out.string());
    }
  }
}

}  // namespace longspan
