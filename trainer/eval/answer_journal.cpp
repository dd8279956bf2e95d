#include "trainer/eval/answer_journal.h"

#include <fmt/format.h>

#include <fstream>
#include <utility>

#include "src/core/atomic_file.h"
#include "src/core/text.h"

namespace longspan {

namespace {

void require_own_identity(const std::string& place, const Json& theirs, const Json& ours) {
  for (const auto& [key, value] : ours.items()) {
    const Json other = theirs.is_object() ? theirs.value(key, Json()) : Json();
    if (other == value) continue;
    fail(ExitCode::kCheckpoint,
         "{}: holds the answers of another run: its {} is {}, here it is {}; give the same "
         "command, remove the file, or name another file",
         place, key, other.dump(), value.dump());
  }
}

[[noreturn]] void refuse_line(const std::string& place) {
  fail(ExitCode::kCheckpoint, "{}: is no journal of answers; remove the file", place);
}

Json parse_line(std::string_view text, const std::string& place) {
  try {
    Json line = parse_json(text, place, ExitCode::kCheckpoint);
    if (line.is_object()) return line;
  } catch (const Error&) {
  }
  refuse_line(place);
}

}  // namespace

AnswerJournal::AnswerJournal(std::filesystem::path path, Json identity)
    : path_(std::move(path)), identity_(std::move(identity)) {
  if (!std::filesystem::exists(path_)) return;
  lock_ = std::make_unique<PathLock>(path_);
  read();
}

void AnswerJournal::read() {
  const std::string text = read_file(path_, ExitCode::kCheckpoint);
  const size_t whole = text.rfind('\n') + 1;
  // The first line appears whole (see add), so that this is somebody else's file.
  if (whole == 0) refuse_line(path_.string());
  size_t begin = 0;
  while (begin < whole) {
    const size_t end = text.find('\n', begin);
    const std::string place = fmt::format("{}: line {}", path_.string(), ++lines_);
    const Json line = parse_line(std::string_view(text).substr(begin, end - begin), place);
    begin = end + 1;
    if (lines_ == 1) {
      if (!line.contains("identity")) refuse_line(place);
      require_own_identity(path_.string(), line["identity"], identity_);
      continue;
    }
    if (!line.value("question", Json()).is_string() || !line.contains("found")) refuse_line(place);
    found_[line["question"].get<std::string>()] = {line["found"], lines_};
  }
  if (whole == text.size()) return;
  write_file(path_, std::string_view(text).substr(0, whole));
  lock_ = std::make_unique<PathLock>(path_);  // the file is another
}

const Json* AnswerJournal::find(const std::string& question) const {
  const auto entry = found_.find(question);
  return entry == found_.end() ? nullptr : &entry->second.answer;
}

double AnswerJournal::number(const Json& question, const std::function<double()>& measure) {
  const std::string key = question.dump();
  if (const Json* known = find(key)) {
    if (known->is_number()) return known->get<double>();
    fail(ExitCode::kCheckpoint, "{}: answers {} by {}, expected a number; remove the file",
         place_of(key), key, known->dump());
  }
  const double found = measure();
  add(key, found);
  return found;
}

std::string AnswerJournal::place_of(const std::string& question) const {
  const auto entry = found_.find(question);
  if (path_.empty() || entry == found_.end()) return "the answers of this run";
  return fmt::format("{}: line {}", path_.string(), entry->second.line);
}

void AnswerJournal::begin() {
  if (std::filesystem::exists(path_)) {
    fail(ExitCode::kFailure, "{}: another process is writing it; wait for its end, or name another",
         path_.string());
  }
  write_file(path_, json_line({{"identity", identity_}}) + "\n");
  lock_ = std::make_unique<PathLock>(path_);
  lines_ = 1;
}

void AnswerJournal::append(const std::string& line) {
  std::ofstream file(path_, std::ios::app | std::ios::binary);
  file << line << std::flush;
  if (file) return;
  fail(ExitCode::kFailure, "{}: cannot be written; make room, and give the same command again",
       path_.string());
}

void AnswerJournal::add(const std::string& question, Json found) {
  if (!path_.empty()) {
    if (lines_ == 0) begin();
    append(json_line({{"question", question}, {"found", found}}) + "\n");
    ++lines_;
  }
  found_[question] = {std::move(found), lines_};
}

void AnswerJournal::remove() {
  std::error_code gone;
  if (!path_.empty()) std::filesystem::remove(path_, gone);
}

}  // namespace longspan
