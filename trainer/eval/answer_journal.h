#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "src/core/json.h"
#include "src/core/path_lock.h"

namespace longspan {

/// What a run has found so far, question by question, in a file of JSON lines to which each answer
/// is added as it comes: after a kill the run goes on behind the last one, with the same result as
/// without. There is no file before the first, and from then on it is locked: two runs would write
/// into each other's answers.
class AnswerJournal {
 public:
  /// Keeps nothing beyond the process.
  AnswerJournal() = default;
  /// Reads `path` if it is there. `identity` is all that decides an answer besides its question; a
  /// file of another identity, or a damaged one, is Error(kCheckpoint) that names what differs. The
  /// last line may be cut off: its question is asked again. Error(kFailure) while another process
  /// has it.
  AnswerJournal(std::filesystem::path path, Json identity);

  /// What was found for `question`, or null.
  const Json* find(const std::string& question) const;
  /// Throws Error(kFailure) where the file cannot be written, or is now another process's.
  void add(const std::string& question, Json found);
  /// The number that was found for `question`, or now measured and added. Throws
  /// Error(kCheckpoint) where the file has something else for it, and what add() does.
  double number(const Json& question, const std::function<double()>& measure);
  /// Where the answer stands, for a message: "out.json.journal: line 7".
  std::string place_of(const std::string& question) const;
  size_t size() const { return found_.size(); }
  const std::filesystem::path& path() const { return path_; }
  /// The run is over and its result is written.
  void remove();

 private:
  struct Found {
    Json answer;
    int64_t line = 0;  // in the file
  };

  void read();
  void begin();
  void append(const std::string& line);

  std::filesystem::path path_;  // empty: none
  Json identity_;
  int64_t lines_ = 0;  // in the file; 0: there is none yet
  std::unique_ptr<const PathLock> lock_;
  std::map<std::string, Found> found_;
};

}  // namespace longspan
