#pragma once

#include <map>
#include <string>
#include <vector>

#include "src/core/error.h"

namespace longspan {

/// Where a value stands: "recipes/a.yaml:14:3", or "command line" for an override.
struct Mark {
  std::string file;
  int line = 0;  // from 1; 0 when the file has no lines to speak of
  int column = 0;

  std::string to_string() const;
};

/// Collects all that is wrong with one input, so that the user mends it in one go.
class Diagnostics {
 public:
  explicit Diagnostics(std::string file = "") : file_(std::move(file)) {}

  /// Remembers where the value of a dotted key path ("rope.factor", "stages.0.steps") stands, and
  /// forgets where those in an earlier value of it stood.
  void mark(const std::string& key_path, Mark mark);
  /// Adds one error at the place of `key_path`, or of its nearest marked parent.
  void error(const std::string& key_path, const std::string& message);

  const std::string& file() const { return file_; }
  bool empty() const { return errors_.empty(); }
  const std::vector<std::string>& errors() const { return errors_; }
  /// Throws one Error(code) with a line for each error, if there is any.
  void throw_if_any(ExitCode code) const;

 private:
  std::string file_;
  std::map<std::string, Mark> marks_;
  std::vector<std::string> errors_;
};

}  // namespace longspan
