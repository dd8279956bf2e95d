#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

#include "src/core/unfinished_part.h"

namespace longspan {

/// A file that appears whole or not at all: written beside its place (see UnfinishedPart), fsynced
/// and renamed by commit(). Destroyed without commit(), the part is removed. A full disk or a write
/// error throws Error(kFailure) that names the file and the reason.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);

  void write(std::string_view bytes);
  void write(const void* bytes, size_t size);
  int64_t size_bytes() const { return size_; }
  void commit();

 private:
  std::filesystem::path path_;
  UnfinishedPart part_;
  int64_t size_ = 0;
};

/// Writes `text` to `path` as an AtomicFile.
void write_file(const std::filesystem::path& path, std::string_view text);

/// A folder that appears whole or not at all: write into path(), then commit() fsyncs each file
/// and renames it into place, replacing an older folder of that name. Destroyed without commit(),
/// it is removed with all it holds.
class AtomicFolder {
 public:
  explicit AtomicFolder(std::filesystem::path place);

  const std::filesystem::path& path() const { return part_.path(); }
  void commit();

 private:
  std::filesystem::path place_;
  UnfinishedPart part_;
};

/// fsyncs each file of the folder `part` and renames it to `place`, replacing an older folder of
/// that name. Throws Error(kFailure), the older one being back in its place.
void move_into_place(const std::filesystem::path& part, const std::filesystem::path& place);

/// "a/b/", "a/./b" and "a/none/../b" -> "a/b", so that a name can be appended to, and what is said
/// of the path is said of the place that is written.
std::filesystem::path without_trailing_slash(std::filesystem::path path);

/// Throws Error(kUsage) where `out` is no name of a file ("", "new/"), and where writing it would
/// replace a folder, a device, a link to nothing, or one of the files `inputs`.
void require_output_file(const std::filesystem::path& out,
                         const std::vector<std::filesystem::path>& inputs);

}  // namespace longspan
