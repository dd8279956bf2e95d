#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "src/core/error.h"
#include "src/core/text.h"
#include "trainer/eval/tasks/ruler_items.h"

namespace longspan {

namespace {

constexpr int64_t kCommonWords = 10;

constexpr std::string_view kListed =
    "Below is a numbered list of words. In these words, some appear more often than others. "
    "Memorize the ones that appear most often.\n";
constexpr std::string_view kListQuestion =
    "\nQuestion: What are the 10 most common words in the above list? Answer: The top 10 words "
    "that appear most often in the list are:";

/// "1. apple 2. pear"
std::string numbered(const std::vector<std::string>& words) {
  std::string text;
  for (size_t i = 0; i < words.size(); ++i) {
    text += fmt::format("{}{}. {}", i == 0 ? "" : " ", i + 1, words[i]);
  }
  return text;
}

/// The first ten of `words` so often each and the rest so often, in an order of `seed`.
std::string listed_words(const std::vector<std::string>& words, int64_t common, int64_t uncommon,
                         int64_t seed) {
  std::vector<std::string> all;
  for (size_t i = 0; i < words.size(); ++i) {
    all.insert(all.end(), std::cmp_less(i, kCommonWords) ? common : uncommon, words[i]);
  }
  Draw("cwe order", {seed}).shuffle(all);
  return numbered(all);
}

std::vector<std::string> first_words(const std::vector<std::string>& words) {
  return {words.begin(), words.begin() + kCommonWords};
}

/// The counts of ranks 1, 2, .. of `words` words in all: zeta(alpha = 2), rounded down.
std::vector<int64_t> zeta_counts(int64_t words, int64_t vocabulary) {
  constexpr double kZetaOf2 = std::numbers::pi * std::numbers::pi / 6;
  std::vector<int64_t> counts;
  for (int64_t rank = 1; rank <= vocabulary; ++rank) {
    const auto share = 1 / (static_cast<double>(rank * rank) * kZetaOf2);
    counts.push_back(static_cast<int64_t>(static_cast<double>(words) * share));
  }
  return counts;
}

}  // namespace

DrawnItem draw_common_words(const EvalSubject& subject, int64_t length, Draw& draw) {
  const bool is_short = length < 4096;
  const int64_t common = is_short ? 6 : 30, uncommon = is_short ? 1 : 3;
  const int64_t order = draw.below(int64_t{1} << 40);
  std::set<std::string> taken;
  const auto word = [&] { return draw.word_pair(); };
  const auto example = distinct(is_short ? 20 : 40, taken, word);
  const std::string shown =
      std::string(kListed) + listed_words(example, is_short ? 3 : 10, is_short ? 1 : 3, order) +
      std::string(kListQuestion) + " " + numbered(first_words(example)) + "\n";

  std::vector<std::string> words;
  return largest_item(subject, length, 1, "ruler: cwe", [&](int64_t others) {
    const int64_t missing = kCommonWords + others - std::ssize(words);
    if (missing > 0 && std::ssize(taken) + missing > word_pairs() * 3 / 4) {
      fail(ExitCode::kUsage,
           "ruler: cwe has not the words for length {}; leave it out of "
           "ruler.tasks or give shorter --lengths",
           length);
    }
    for (auto& drawn : distinct(std::max<int64_t>(missing, 0), taken, word)) {
      words.push_back(std::move(drawn));
    }
    const std::vector<std::string> used(words.begin(), words.begin() + kCommonWords + others);
    Question question{.metric = "all", .references = first_words(used), .subset = "cwe"};
    question.text = kListQuestion;
    question.answers = {numbered(question.references)};
    question.max_new_tokens = 120;
    const std::string list = listed_words(used, common, uncommon, order);
    question.evidence = {{0, list.size()}};
    return DrawnItem{.passage = {shown + std::string(kListed), list}, .questions = {question}};
  });
}

DrawnItem draw_frequent_words(const EvalSubject& subject, int64_t length, Draw& draw) {
  constexpr int kLetters = 6;
  const int64_t vocabulary = std::max<int64_t>(length / 50, 4);
  const int64_t order = draw.below(int64_t{1} << 40);
  std::set<std::string> taken;
  auto words = distinct(vocabulary, taken, [&] { return draw.letters(kLetters, 'a'); });
  words[0] = "...";  // the most frequent is noise
  // Below it ranks 4 and 5 stand there equally often.
  constexpr int64_t kFewestWords = 53;
  return largest_item(subject, length, kFewestWords, "ruler: fwe", [&](int64_t count) {
    std::vector<std::string> text;
    const std::vector<int64_t> counts = zeta_counts(count, vocabulary);
    for (int64_t rank = 0; rank < vocabulary; ++rank) {
      text.insert(text.end(), counts[rank], words[rank]);
    }
    Draw("fwe order", {order}).shuffle(text);
    Question question{
        .metric = "all", .references = {words.begin() + 1, words.begin() + 4}, .subset = "fwe"};
    question.text =
        "\nQuestion: Do not provide any explanation. Please ignore the dots '....'. What are the "
        "three most frequently appeared words in the above coded text? Answer: According to the "
        "coded text above, the three most frequently appeared words are:";
    question.answers = {join(question.references, " ")};
    question.max_new_tokens = 50;
    const std::string coded = join(text, " ");
    question.evidence = {{0, coded.size()}};
    return DrawnItem{
        .passage = {"Read the following coded text and track the frequency of each coded word. "
                    "Find the three most frequently appeared coded words. ",
                    coded},
        .questions = {question}};
  });
}

}  // namespace longspan
