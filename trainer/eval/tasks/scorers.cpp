#include "trainer/eval/tasks/scorers.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <functional>
#include <map>
#include <sstream>

#include "src/core/text.h"
#include "trainer/eval/statistics.h"
#include "trainer/eval/tasks/rouge.h"

namespace longspan {

namespace {

std::vector<std::string> words_of(std::string_view text) {
  std::istringstream stream{std::string(text)};
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

std::vector<std::string> numbers_of(std::string_view text) {
  std::vector<std::string> numbers;
  bool inside = false;
  for (const char c : text) {
    const bool is_digit = c >= '0' && c <= '9';
    if (is_digit && !inside) numbers.emplace_back();
    if (is_digit) numbers.back() += c;
    inside = is_digit;
  }
  return numbers;
}

using Similarity = std::function<double(const std::string& reference)>;

double best_of(const std::vector<std::string>& references, const Similarity& similarity) {
  double best = 0;
  for (const auto& reference : references) best = std::max(best, similarity(reference));
  return best;
}

/// Length of the longest common subsequence of letters.
int64_t common_subsequence(const std::string& a, const std::string& b) {
  std::vector<int64_t> row(b.size() + 1, 0);
  for (const char left : a) {
    int64_t diagonal = 0;
    for (size_t j = 0; j < b.size(); ++j) {
      const int64_t above = row[j + 1];
      row[j + 1] = left == b[j] ? diagonal + 1 : std::max(above, row[j]);
      diagonal = above;
    }
  }
  return row.back();
}

/// normalized() of both; with their articles where the reference is nothing else, as "A" is among
/// choices.
std::pair<std::string, std::string> comparable(const std::string& answer,
                                               const std::string& reference) {
  const Articles articles = normalized(reference).empty() ? Articles::kKept : Articles::kDropped;
  return {normalized(answer, articles), normalized(reference, articles)};
}

double exact(const std::string& answer, const std::vector<std::string>& references) {
  return best_of(references, [&](const auto& reference) {
    const auto [given, wanted] = comparable(answer, reference);
    return given == wanted ? 1.0 : 0.0;
  });
}

double begins_with(const std::string& answer, const std::vector<std::string>& references) {
  return best_of(references, [&](const auto& reference) {
    const auto [given, wanted] = comparable(answer, reference);
    return (given + " ").starts_with(wanted + " ") ? 1.0 : 0.0;
  });
}

double substring(const std::string& answer, const std::vector<std::string>& references) {
  return best_of(references, [&](const auto& reference) {
    return substring_of(reference, answer) ? 1.0 : 0.0;
  });
}

double all_substrings(const std::string& answer, const std::vector<std::string>& references) {
  double found = 0;
  for (const auto& reference : references) found += substring(answer, {reference});
  return found / static_cast<double>(references.size());
}

/// "" where there is none; with the digits behind a point where `with_decimals`.
std::string first_number(std::string_view text, bool with_decimals) {
  constexpr std::string_view kDigits = "0123456789";
  const auto digits_end = [&](size_t begin) {
    return std::min(text.find_first_not_of(kDigits, begin), text.size());
  };
  const size_t begin = text.find_first_of(kDigits);
  if (begin == text.npos) return "";
  size_t end = digits_end(begin);
  if (with_decimals && end < text.size() && text[end] == '.') {
    if (const size_t decimals_end = digits_end(end + 1); decimals_end > end + 1) end = decimals_end;
  }
  return std::string(text.substr(begin, end - begin));
}

double first_number_is(const std::string& answer, const std::vector<std::string>& references) {
  return best_of(references, [&](const auto& reference) {
    const bool has_decimals = reference.find('.') != std::string::npos;
    const std::string number = first_number(answer, has_decimals);
    if (number.empty()) return 0.0;
    const bool equal = has_decimals ? std::strtod(number.c_str(), nullptr) ==
                                          std::strtod(reference.c_str(), nullptr)
                                    : number == reference;
    return equal ? 1.0 : 0.0;
  });
}

double first_number_begins_with(const std::string& answer,
                                const std::vector<std::string>& references) {
  const std::string number = first_number(answer, /*with_decimals=*/false);
  return best_of(references,
                 [&](const auto& reference) { return number.starts_with(reference) ? 1.0 : 0.0; });
}

double last_word_is(const std::string& answer, const std::vector<std::string>& references) {
  std::string bare = answer;
  const auto is_mark = [](char c) {
    return std::string_view(".`'\":").find(c) != std::string::npos;
  };
  std::ranges::replace_if(bare, is_mark, ' ');
  const auto words = words_of(bare);
  return best_of(references, [&](const auto& reference) {
    return !words.empty() && words.back() == reference ? 1.0 : 0.0;
  });
}

double leading_share(const std::string& answer, const std::vector<std::string>& references) {
  const auto numbers = numbers_of(answer);
  const auto differing = std::ranges::mismatch(references, numbers).in1;
  return static_cast<double>(differing - references.begin()) /
         static_cast<double>(references.size());
}

double word_f1(const std::string& answer, const std::vector<std::string>& references) {
  const auto given = words_of(normalized(answer));
  return best_of(references, [&](const auto& reference) {
    const auto wanted = words_of(normalized(reference));
    std::map<std::string, int64_t> left;
    for (const auto& word : wanted) ++left[word];
    int64_t common = 0;
    for (const auto& word : given) common += left[word]-- > 0 ? 1 : 0;
    return f1_score(common, given.size(), wanted.size());
  });
}

double best_rouge_l(const std::string& answer, const std::vector<std::string>& references) {
  return best_of(references, [&](const auto& reference) { return rouge_l(answer, reference); });
}

double best_rouge_lsum(const std::string& answer, const std::vector<std::string>& references) {
  return best_of(references, [&](const auto& reference) { return rouge_lsum(answer, reference); });
}

/// The first line that is neither fence nor comment, as LongBench's code_sim_score takes it.
std::string first_code_line(const std::string& text) {
  for (const auto& line :
       split(text.substr(std::min(text.find_first_not_of('\n'), text.size())), '\n')) {
    if (line.find_first_of("`#") == std::string::npos && line.find("//") == std::string::npos) {
      return line;
    }
  }
  return "";
}

double edit_similarity(const std::string& answer, const std::vector<std::string>& references) {
  const std::string given = first_code_line(answer);
  return best_of(references, [&](const auto& reference) {
    return f1_score(common_subsequence(given, reference), given.size(), reference.size());
  });
}

double count_share(const std::string& answer, const std::vector<std::string>& references) {
  const auto numbers = numbers_of(answer);
  if (numbers.empty()) return 0;
  return best_of(references, [&](const auto& reference) {
    return static_cast<double>(std::count(numbers.begin(), numbers.end(), reference)) /
           static_cast<double>(numbers.size());
  });
}

/// LongBench's classification_score: a class that is part of the right one's name does not count.
double class_share(const std::string& answer, const std::vector<std::string>& references) {
  const std::string& right = references.front();
  int64_t named = 0;
  for (const auto& name : references) {
    if (name != right && right.find(name) != std::string::npos) continue;
    named += answer.find(name) != std::string::npos ? 1 : 0;
  }
  return answer.find(right) == std::string::npos ? 0.0 : 1.0 / static_cast<double>(named);
}

double only_labels(const std::string& answer, const std::vector<std::string>& references) {
  const std::string first_sentence = answer.substr(0, answer.find('.'));
  const auto named = [&](const auto& label) { return substring_of(label, first_sentence); };
  const bool all_right = std::ranges::all_of(labels_of(references.front()), named);
  return all_right && std::none_of(references.begin() + 1, references.end(), named) ? 1.0 : 0.0;
}

struct NamedScorer {
  std::string_view name;
  Scorer score;
};

constexpr NamedScorer kScorers[] = {
    {"exact", exact},
    {"prefix", begins_with},
    {"substring", substring},
    {"all", all_substrings},
    {"number", first_number_is},
    {"number_prefix", first_number_begins_with},
    {"last_word", last_word_is},
    {"leading", leading_share},
    {"f1", word_f1},
    {"rouge_l", best_rouge_l},
    {"rouge_lsum", best_rouge_lsum},
    {"edit_similarity", edit_similarity},
    {"count", count_share},
    {"class", class_share},
    {"label", only_labels},
};

}  // namespace

bool substring_of(std::string_view part, std::string_view text) {
  return lower_case(std::string(text)).find(lower_case(std::string(part))) != std::string::npos;
}

std::vector<std::string> labels_of(const std::string& target) {
  constexpr size_t kOneLabel = 3;  // "n,w" of two directions is one
  return target.size() > kOneLabel ? split(target, ',') : std::vector<std::string>{target};
}

std::string normalized(std::string_view text, Articles articles) {
  std::string letters;
  for (const char c : lower_case(std::string(text))) {
    if (!std::ispunct(static_cast<unsigned char>(c))) letters += c;
  }
  std::vector<std::string> kept;
  for (auto& word : words_of(letters)) {
    const bool is_article = word == "a" || word == "an" || word == "the";
    if (!is_article || articles == Articles::kKept) kept.push_back(std::move(word));
  }
  return join(kept, " ");
}

std::vector<std::string> scorers() {
  std::vector<std::string> names;
  for (const auto& entry : kScorers) names.emplace_back(entry.name);
  return names;
}

Scorer find_scorer(std::string_view name) {
  for (const auto& entry : kScorers) {
    if (entry.name == name) return entry.score;
  }
  return nullptr;
}

}  // namespace longspan
