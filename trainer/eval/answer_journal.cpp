#include "trainer/eval/answer_journal.h"

#include <fmt/format.h>

#include <fstream>

#include "src/core/atomic_file.h"
#include "src/core/text.h"
#include "trainer/eval/journal_identity.h"

namespace longspan {

namespace {

std::string journal_line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

AnswerJournal::AnswerJournal(std::filesystem::path path, Json identity)
    : path_(std::move(path)), identity_(std::move(identity)) {
  if (std::filesystem::exists(path_)) read();
}

void AnswerJournal::read() {
  const std::string text = read_file(path_, ExitCode::kCheckpoint);
  size_t begin = 0;
  for (int number = 1; begin < text.size(); ++number) {
    const size_t end = text.find('\n', begin);
    if (end == text.npos) break;  // cut off as it was written
    const std::string place = fmt::format("{}: line {}", path_.string(), number);
    const Json line =
        parse_json(std::string_view(text).substr(begin, end - begin), place, ExitCode::kCheckpoint);
    const char* key = number == 1 ? "identity" : "question";
    if (!line.is_object() || !line.contains(key) || (number > 1 && !line.contains("found"))) {
      fail(ExitCode::kCheckpoint, "{}: is no answer of an evaluation; remove the file", place);
    }
    if (number == 1) {
      require_same_identity(path_, line["identity"], identity_, "the answers of another run",
                            "give the same command, remove the file, or name another --out");
    } else {
      found_[line["question"].get<std::string>()] = line["found"];
    }
    begin = end + 1;
  }
  exists_ = begin > 0;
  if (exists_ && begin < text.size()) write_file(path_, std::string_view(text).substr(0, begin));
}

const Json* AnswerJournal::find(const std::string& question) const {
  const auto entry = found_.find(question);
  return entry == found_.end() ? nullptr : &entry->second;
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
    if (!exists_) write_file(path_, journal_line({{"identity", identity_}}));
    exists_ = true;
    append(journal_line({{"question", question}, {"found", found}}));
  }
  found_[question] = std::move(found);
}

void AnswerJournal::remove() {
  std::error_code gone;
  if (!path_.empty()) std::filesystem::remove(path_, gone);
}

}  // namespace longspan
