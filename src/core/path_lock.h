#pragma once

#include <filesystem>

namespace longspan {

/// A lock on a folder or file, against other processes and for the life of the object. File systems
/// that cannot lock let everyone in: there the user keeps runs apart.
class PathLock {
 public:
  /// Throws Error(kFailure) while another process holds it, or where there is nothing.
  explicit PathLock(const std::filesystem::path& path);
  ~PathLock();
  PathLock(const PathLock&) = delete;
  PathLock& operator=(const PathLock&) = delete;

 private:
  int file_;
};

}  // namespace longspan
