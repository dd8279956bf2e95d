#include "src/core/diagnostics.h"

#include "src/core/printable.h"
#include "src/core/text.h"

namespace longspan {

std::string Mark::to_string() const {
  return line > 0 ? fmt::format("{}:{}:{}", file, line, column) : file;
}

void Diagnostics::mark(const std::string& key_path, Mark mark) {
  const std::string inside = key_path + ".";
  std::erase_if(marks_, [&](const auto& known) { return known.first.starts_with(inside); });
  marks_[key_path] = std::move(mark);
}

void Diagnostics::error(const std::string& key_path, const std::string& message) {
  std::string place = file_;
  std::string known = key_path;
  while (true) {
    if (auto found = marks_.find(known); found != marks_.end()) {
      place = found->second.to_string();
      break;
    }
    size_t dot = known.rfind('.');
    if (dot == known.npos) break;
    known.resize(dot);
  }
  if (!place.empty()) place += ": ";
  if (!key_path.empty()) place += printable_value(key_path) + ": ";
  errors_.push_back(place + printable_value(message, kLongestReason));  // one line each
}

void Diagnostics::throw_if_any(ExitCode code) const {
  if (!errors_.empty()) throw Error(code, join(errors_, "\n"));
}

}  // namespace longspan
