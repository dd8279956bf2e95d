#include "src/core/unfinished_part.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "src/core/error.h"
#include "src/core/file_lock.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kOlder = ".older";  // see move_into_place

std::string part_prefix(const fs::path& place) { return place.filename().string() + ".part-"; }

/// The parts of `place`, and what was moved aside for one, that stand beside it.
std::vector<fs::path> parts_of(const fs::path& place) {
  const std::string prefix = part_prefix(place);
  const fs::path folder = place.has_parent_path() ? place.parent_path() : fs::path(".");
  std::vector<fs::path> parts;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    std::string name = entry.path().filename().string();
    if (!name.starts_with(prefix)) continue;
    name.erase(0, prefix.size());
    if (name.ends_with(kOlder)) name.resize(name.size() - kOlder.size());
    if (!name.empty() && name.find_first_not_of("0123456789") == std::string::npos) {
      parts.push_back(place.parent_path() / entry.path().filename());
    }
  }
  return parts;
}

/// A part is abandoned when nobody locks it, unless its process died as it replaced `place`: then
/// it and what it replaces are all there is.
void remove_if_abandoned(const fs::path& part, const fs::path& place) {
  const fs::path older = part.string() + std::string(kOlder);
  if (fs::exists(older) && !fs::exists(place)) return;
  const int file = open(part.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (file < 0) return;
  std::error_code ignored;
  if (try_lock(file) == LockResult::kLocked && is_at(file, part)) fs::remove_all(part, ignored);
  close(file);
}

void remove_abandoned(const fs::path& place) {
  std::error_code ignored;
  std::vector<fs::path> parts = parts_of(place);
  const auto older = std::partition(parts.begin(), parts.end(), [](const fs::path& part) {
    return !part.string().ends_with(kOlder);
  });
  std::for_each(parts.begin(), older,
                [&](const fs::path& part) { remove_if_abandoned(part, place); });
  std::for_each(older, parts.end(), [&](const fs::path& aside) {
    const fs::path part = aside.parent_path() / aside.stem();
    if (fs::exists(place) && !fs::exists(part)) fs::remove_all(aside, ignored);
  });
}

void make_parent(const fs::path& path) {
  std::error_code status;
  if (!path.parent_path().empty()) fs::create_directories(path.parent_path(), status);
  if (status) {
    fail(ExitCode::kFailure, "{}: cannot create the folder: {}", path.parent_path().string(),
         status.message());
  }
}

int open_part(const fs::path& part, UnfinishedPart::Kind kind) {
  if (kind == UnfinishedPart::Kind::kFile) {
    return open(part.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  }
  if (mkdir(part.c_str(), 0777) != 0 && errno != EEXIST) return -1;
  return open(part.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/// Of what a killed process of the same number left, where it could not be locked.
void clear_part(const fs::path& part, UnfinishedPart::Kind kind) {
  std::error_code ignored;
  if (kind == UnfinishedPart::Kind::kFile) return fs::resize_file(part, 0, ignored);
  for (const auto& entry : fs::directory_iterator(part, ignored)) {
    fs::remove_all(entry.path(), ignored);
  }
}

}  // namespace

UnfinishedPart::UnfinishedPart(const fs::path& place, Kind kind)
    : path_(place.parent_path() / fmt::format("{}{}", part_prefix(place), getpid())) {
  make_parent(place);
  remove_abandoned(place);
  file_ = claim(path_, place, [&] { return open_part(path_, kind); });
  clear_part(path_, kind);
}

UnfinishedPart::~UnfinishedPart() {
  std::error_code ignored;
  if (removes_) fs::remove_all(path_, ignored);
  close(file_);
}

}  // namespace longspan
