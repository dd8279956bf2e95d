#include "trainer/eval/tasks/rouge.h"

#include <algorithm>
#include <map>
#include <set>
#include <sstream>
#include <vector>

#include "src/core/text.h"
#include "trainer/eval/statistics.h"

namespace longspan {

namespace {

using Words = std::vector<std::string>;

/// Where both ways lead to a subsequence of the same length: which of the two loses its last word.
enum class Shorten { kReference, kSummary };

/// The places in `reference` of a longest common subsequence, ascending.
std::vector<size_t> common_places(const Words& reference, const Words& summary, Shorten shorten) {
  const size_t rows = reference.size(), columns = summary.size();
  std::vector<std::vector<int64_t>> table(rows + 1, std::vector<int64_t>(columns + 1, 0));
  for (size_t i = 1; i <= rows; ++i) {
    for (size_t j = 1; j <= columns; ++j) {
      table[i][j] = reference[i - 1] == summary[j - 1] ? table[i - 1][j - 1] + 1
                                                       : std::max(table[i - 1][j], table[i][j - 1]);
    }
  }
  std::vector<size_t> places;
  for (size_t i = rows, j = columns; i > 0 && j > 0;) {
    const int64_t above = table[i - 1][j], before = table[i][j - 1];
    if (reference[i - 1] == summary[j - 1]) {
      places.push_back(--i);
      --j;
    } else if (above > before || (above == before && shorten == Shorten::kReference)) {
      --i;
    } else {
      --j;
    }
  }
  std::ranges::reverse(places);
  return places;
}

/// A piece of blanks alone is one empty word, as the package has it.
std::vector<Words> sentences(const std::string& text) {
  std::vector<Words> found;
  for (const std::string& piece : split(text, '.')) {
    if (piece.empty()) continue;
    std::istringstream stream(piece);
    Words words;
    for (std::string word; stream >> word;) words.push_back(word);
    if (words.empty()) words.emplace_back();
    found.push_back(std::move(words));
  }
  return found;
}

std::vector<Words> lines(const std::string& text) {
  std::vector<Words> found;
  for (const std::string& line : split(lower_case(text), '\n')) {
    Words words(1);
    for (const char c : line) {
      if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
        words.back() += c;
      } else if (!words.back().empty()) {
        words.emplace_back();
      }
    }
    if (words.back().empty()) words.pop_back();
    found.push_back(std::move(words));
  }
  return found;
}

size_t count_words(const std::vector<Words>& sentences, std::map<std::string, int64_t>& counts) {
  size_t words = 0;
  for (const Words& sentence : sentences) {
    words += sentence.size();
    for (const std::string& word : sentence) ++counts[word];
  }
  return words;
}

}  // namespace

double rouge_l(const std::string& summary, const std::string& reference) {
  std::set<std::string> ours, theirs, common;
  const std::vector<Words> given = sentences(summary);
  for (const Words& sentence : given) ours.insert(sentence.begin(), sentence.end());
  for (const Words& sentence : sentences(reference)) {
    theirs.insert(sentence.begin(), sentence.end());
    for (const Words& candidate : given) {
      for (const size_t place : common_places(sentence, candidate, Shorten::kSummary)) {
        common.insert(sentence[place]);
      }
    }
  }
  return f1_score(std::ssize(common), ours.size(), theirs.size());
}

double rouge_lsum(const std::string& summary, const std::string& reference) {
  const std::vector<Words> given = lines(summary), wanted = lines(reference);
  std::map<std::string, int64_t> left_in_summary, left_in_reference;
  const size_t ours = count_words(given, left_in_summary);
  const size_t theirs = count_words(wanted, left_in_reference);
  int64_t common = 0;
  for (const Words& line : wanted) {
    std::set<size_t> places;
    for (const Words& candidate : given) {
      const auto more = common_places(line, candidate, Shorten::kReference);
      places.insert(more.begin(), more.end());
    }
    for (const size_t place : places) {
      int64_t& summary_left = left_in_summary[line[place]];
      int64_t& reference_left = left_in_reference[line[place]];
      if (summary_left <= 0 || reference_left <= 0) continue;
      --summary_left;
      --reference_left;
      ++common;
    }
  }
  return f1_score(common, ours, theirs);
}

}  // namespace longspan
