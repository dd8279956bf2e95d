#pragma once

#include <filesystem>

namespace longspan {

/// A lock on a folder, against other processes and for the life of the object. File systems that
/// cannot lock let everyone in: there the user keeps runs apart.
class FolderLock {
 public:
  /// Throws Error(kFailure) while another process holds it, or where there is no such folder.
  explicit FolderLock(const std::filesystem::path& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int folder_;
};

}  // namespace longspan
