#include "tools/support/encode_notes.h"

#include <algorithm>
#include <utility>

#include "src/core/error.h"
#include "src/core/log.h"
#include "src/core/text.h"

namespace longspan {

namespace {

using Counts = std::map<std::string, int64_t>;

int64_t sum_of(const Counts& counts) {
  int64_t sum = 0;
  for (const auto& [text, count] : counts) sum += count;
  return sum;
}

/// "'</s>' (12), '<s>' (3) and 4 more", the most frequent first.
std::string most_frequent(const Counts& counts) {
  constexpr size_t kShown = 5;
  std::vector<std::pair<std::string, int64_t>> sorted(counts.begin(), counts.end());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  std::vector<std::string> shown;
  for (size_t i = 0; i < std::min(kShown, sorted.size()); ++i) {
    shown.push_back(
        fmt::format("'{}' ({})", printable_value(sorted[i].first), human_count(sorted[i].second)));
  }
  std::string text = join(shown, ", ");
  if (sorted.size() > kShown) text += fmt::format(" and {} more", sorted.size() - kShown);
  return text;
}

Json counts_json(const Counts& counts) {
  Json json = Json::object();
  for (const auto& [text, count] : counts) json[text] = count;
  return json;
}

}  // namespace

void report_notes(const EncodeNotes& notes, bool strict) {
  if (!notes.special.empty()) {
    log_warning(
        "the text has special tokens {} times, which became those tokens: {}; "
        "--split-special-tokens takes them as text",
        human_count(sum_of(notes.special)), most_frequent(notes.special));
  }
  if (notes.lost.empty()) return;
  const std::string lost = fmt::format(
      "{} characters have no token in this vocabulary and are left out, or became the token for "
      "what is unknown: {}",
      human_count(sum_of(notes.lost)), most_frequent(notes.lost));
  if (strict) fail(ExitCode::kData, "{}; nothing was written (--strict)", lost);
  log_warning(lost);
}

Json notes_json(const EncodeNotes& notes) {
  return {{"special_tokens_in_text", counts_json(notes.special)},
          {"characters_without_token", counts_json(notes.lost)}};
}

}  // namespace longspan
