#pragma once

#include <filesystem>

namespace longspan {

/// `<name>.part-<pid>` beside the place of a file or folder that is being written there, locked
/// while it is. What killed processes left of the same place is removed first; on file systems that
/// cannot lock it stays.
class UnfinishedPart {
 public:
  enum class Kind { kFile, kFolder };

  /// Makes the folder of `place` and an empty part. Throws Error(kFailure).
  UnfinishedPart(const std::filesystem::path& place, Kind kind);
  /// Removes what is still at path().
  ~UnfinishedPart();
  UnfinishedPart(const UnfinishedPart&) = delete;
  UnfinishedPart& operator=(const UnfinishedPart&) = delete;

  const std::filesystem::path& path() const { return path_; }
  int file() const { return file_; }  // of a file, open for writing
  /// What is at path() from now on stays.
  void release() { removes_ = false; }

 private:
  std::filesystem::path path_;
  int file_ = -1;
  bool removes_ = true;
};

}  // namespace longspan
