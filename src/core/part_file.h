#pragma once

#include <filesystem>

namespace longspan {

/// `<path>.part`, in which the file `path` grows, claimed against other processes. What a killed
/// one left there is written over. File systems that cannot lock let everyone in.
class PartFile {
 public:
  /// Makes the folder of `path`. Throws Error(kFailure) while another process writes the part.
  explicit PartFile(std::filesystem::path path);
  PartFile(PartFile&& other) noexcept;
  PartFile& operator=(PartFile&&) = delete;
  /// Without commit() the part is removed.
  ~PartFile();

  const std::filesystem::path& path() const { return path_; }
  const std::filesystem::path& part() const { return part_; }
  /// fsyncs the part and renames it to path(), replacing an older file.
  void commit();

 private:
  std::filesystem::path path_, part_;
  int file_ = -1;  // locked; -1: committed
};

}  // namespace longspan
