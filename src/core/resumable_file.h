#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

#include "src/core/resumable_folder.h"
#include "src/core/stopwatch.h"

namespace longspan {

/// A file that appears whole or not at all, written part by part, whose writing goes on after an
/// interruption behind the last part that is safely on disk. It grows as `<name>.partial/.content`
/// beside its place (see ResumableFolder).
class ResumableFile {
 public:
  /// `made_from` is all that decides the content. Throws Error(kFailure) as ResumableFolder does.
  ResumableFile(std::filesystem::path place, const Json& made_from);
  /// Without commit(): the parts that are done stay; when there are none, nothing does.
  ~ResumableFile();
  ResumableFile(const ResumableFile&) = delete;
  ResumableFile& operator=(const ResumableFile&) = delete;

  /// What is written; before the first write() what an interrupted run left, for this one to go on
  /// behind.
  int64_t size_bytes() const { return size_; }
  void write(std::string_view bytes);
  void write(const void* bytes, size_t size);
  /// A part ends here. Flushed to disk at most once a second: that much is made again after a
  /// kill -9 or a power cut.
  void end_part();
  /// Moves the file into place, replacing an older one. The last part must have ended.
  void commit();

 private:
  void keep();

  std::filesystem::path place_;
  ResumableFolder folder_;
  int file_ = -1;
  int64_t size_ = 0, ended_ = 0, kept_ = 0;  // all, up to the last part's end, safely on disk
  Stopwatch since_kept_;
};

}  // namespace longspan
