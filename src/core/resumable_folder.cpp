#include "src/core/resumable_folder.h"

#include <algorithm>
#include <vector>

#include "src/core/atomic_file.h"
#include "src/core/log.h"
#include "src/core/text.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

constexpr const char* kMadeFrom = ".made-from.json";

fs::path partial_name(const fs::path& place) {
  return place.parent_path() / (place.filename().string() + ".partial");
}

std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) entries.push_back(entry.path());
  return entries;
}

/// AtomicFile's name for what it has not finished.
bool is_half_written(const fs::path& path) {
  return path.filename().string().find(".part-") != std::string::npos;
}

bool is_finished(const fs::path& path) {
  return !path.filename().string().starts_with('.') && !is_half_written(path);
}

/// The first keys in which two maps differ, as a person would name them.
std::string differing_keys(const Json& before, const Json& now) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : now.items()) {
    if (!before.is_object() || before.value(key, Json()) != value) keys.push_back(key);
  }
  return keys.empty() ? "something" : join(keys, ", ");
}

/// Nothing when there is none or it is damaged: then the folder is begun anew.
Json read_made_from(const fs::path& folder) {
  try {
    return read_json_file(folder / kMadeFrom, ExitCode::kFailure);
  } catch (const Error&) {
    return nullptr;
  }
}

}  // namespace

ResumableFolder::ResumableFolder(fs::path place, const Json& made_from)
    : place_(without_trailing_slash(std::move(place))), part_(partial_name(place_)) {
  std::error_code status;
  if (fs::exists(part_, status) && !fs::is_directory(part_)) {
    fail(ExitCode::kFailure, "{}: is a file, and where the folder is made; remove it",
         part_.string());
  }
  fs::create_directories(part_, status);
  if (status) {
    fail(ExitCode::kFailure, "{}: cannot create: {}", part_.string(), status.message());
  }
  lock_.emplace(part_);
  begin(made_from);
}

void ResumableFolder::begin(const Json& made_from) {
  Json before = read_made_from(part_);
  bool same = json_line(before) == json_line(made_from);  // what is not UTF-8 is U+FFFD in a file
  auto found = entries_of(part_);
  auto finished = std::count_if(found.begin(), found.end(), is_finished);
  if (finished > 0 && same) {
    log_info("{}: goes on where it was interrupted", part_.string());
  } else if (finished > 0) {
    log_info("{}: begun from other inputs or options ({}); begins anew", part_.string(),
             differing_keys(before, made_from));
  }
  for (const auto& entry : found) {
    if (!same || is_half_written(entry)) fs::remove_all(entry);
  }
  if (!same) write_json_file(part_ / kMadeFrom, made_from);
}

ResumableFolder::~ResumableFolder() {
  if (!lock_) return;
  auto left = entries_of(part_);
  if (std::any_of(left.begin(), left.end(), is_finished)) {
    log_info("{}: keeps what is finished; the same command goes on", part_.string());
  } else {
    discard();
  }
}

void ResumableFolder::discard() {
  std::error_code ignored;
  fs::remove_all(part_, ignored);
  lock_.reset();
}

void ResumableFolder::commit() {
  move_into_place(part_, place_);
  fs::remove(place_ / kMadeFrom);  // only now: where the move fails the next one goes on
  lock_.reset();
}

void ResumableFolder::commit_file(const std::string& name) {
  std::error_code status;
  fs::rename(part_ / name, place_, status);
  if (status) {
    fail(ExitCode::kFailure, "{}: cannot move into place: {}", place_.string(), status.message());
  }
  discard();
}

Json file_stamps(const fs::path& path) {
  std::vector<fs::path> files{path};
  if (fs::is_directory(path)) files = entries_of(path);
  std::sort(files.begin(), files.end());
  Json stamps = Json::array();
  for (const auto& file : files) {
    std::error_code status;
    if (!fs::is_regular_file(file, status)) continue;
    auto changed = fs::last_write_time(file, status).time_since_epoch().count();
    stamps.push_back({fs::absolute(file).string(), fs::file_size(file, status), changed});
  }
  return stamps;
}

}  // namespace longspan
