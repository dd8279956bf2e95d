#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "src/core/json.h"
#include "src/core/path_lock.h"

namespace longspan {

/// A folder that appears whole or not at all, and whose making goes on after an interruption. It is
/// filled as `<name>.partial` beside its place. Files that are finished there (AtomicFile) outlive
/// the process, and the next ResumableFolder made from the same things finds them; a name with a
/// dot in front does not count as finished.
class ResumableFolder {
 public:
  /// `made_from` is all that decides the content: inputs and options. What was begun from anything
  /// else is removed, which the log says. Throws Error(kFailure) while another process fills it.
  ResumableFolder(std::filesystem::path place, const Json& made_from);
  /// Without commit(): finished files stay; when there are none, nothing does.
  ~ResumableFolder();
  ResumableFolder(const ResumableFolder&) = delete;
  ResumableFolder& operator=(const ResumableFolder&) = delete;

  const std::filesystem::path& path() const { return part_; }
  /// Moves the folder into place, replacing an older one of that name.
  void commit();
  /// Moves one of its files into place instead, replacing an older one, and removes the rest.
  void commit_file(const std::string& name);
  /// Removes all that was made: it is not to be gone on with.
  void discard();

 private:
  void begin(const Json& made_from);

  std::filesystem::path place_, part_;
  std::optional<PathLock> lock_;
};

/// What `path` holds as far as its directory entry tells: the name, size and time of change of the
/// file, or of each file in the folder. Equal before and after, the files have not been changed.
Json file_stamps(const std::filesystem::path& path);

}  // namespace longspan
