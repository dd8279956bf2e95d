#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

namespace longspan {

/// A download on its way: open for appending, locked against other processes, kept when it breaks
/// off. What fails throws Error(kFailure) with the path.
class PartFile {
 public:
  explicit PartFile(std::filesystem::path path);
  ~PartFile();
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;

  int64_t size() const { return size_; }
  const std::filesystem::path& path() const { return path_; }

  void append(std::string_view bytes);
  /// Forgets all that is there.
  void restart();
  /// Gives it its name once it is whole.
  void move_to(const std::filesystem::path& place);

 private:
  [[noreturn]] void refuse(const char* what) const;

  std::filesystem::path path_;
  int file_;
  int64_t size_ = 0;
};

}  // namespace longspan
