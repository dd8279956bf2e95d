#pragma once

#include <filesystem>
#include <string_view>

#include "src/core/atomic_file.h"
#include "src/core/json.h"

namespace longspan {

/// A file of JSON, a value a line, that appears when commit() is called. Bytes that are not UTF-8
/// become U+FFFD.
class JsonLines {
 public:
  explicit JsonLines(const std::filesystem::path& path) : path_(path), file_(path) {}

  void add(const Json& line);
  /// Logs that it wrote `what`, as "the items".
  void commit(std::string_view what);

 private:
  std::filesystem::path path_;
  AtomicFile file_;
};

}  // namespace longspan
