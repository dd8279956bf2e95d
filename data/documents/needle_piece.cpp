#include "data/documents/needle_piece.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <iterator>
#include <string_view>
#include <utility>

#include "src/core/random.h"

namespace longspan {

namespace {

constexpr int64_t kStatedWithinPercent = 85;
constexpr int64_t kShortestQuoteTokens = 12, kLongestQuoteTokens = 48;

/// Draws places behind the sentences [first, end) of a text, numbered from `first` on.
class NeedlePlaces {
 public:
  NeedlePlaces(const SentencedText& text, size_t first, size_t end, int64_t nearest)
      : nearest_(nearest) {
    for (size_t i = first; i < end; ++i) tokens_to_.push_back(text.tokens(first, i + 1));
    if (tokens_to_.empty()) return;
    const int64_t all = tokens_to_.back();
    const int64_t latest = std::min(all * kStatedWithinPercent / 100, all - nearest);
    stated_ = std::upper_bound(tokens_to_.begin(), tokens_to_.end(), latest) - tokens_to_.begin();
  }

  /// A statement may stand behind so many sentences, the first ones.
  size_t stated() const { return static_cast<size_t>(stated_); }
  /// A place at least `nearest` tokens of the text behind that of a statement.
  size_t draw_further_on(size_t stated, std::mt19937_64& generator) const {
    const auto from =
        std::lower_bound(tokens_to_.begin(), tokens_to_.end(), tokens_to_[stated] + nearest_);
    const auto places = static_cast<uint64_t>(tokens_to_.end() - from);
    return static_cast<size_t>(from - tokens_to_.begin()) + draw_below(places, generator);
  }

 private:
  int64_t nearest_;
  std::vector<int64_t> tokens_to_;  // the end of each sentence
  int64_t stated_ = 0;
};

/// What is put behind a sentence, and where it then stands.
struct Insertion {
  size_t behind = 0;
  std::string text;
  Span* place = nullptr;
};

std::string on_one_line(std::string_view sentence) {
  std::string line;
  for (const char c : sentence) {
    const bool is_space = std::string_view(" \t\r\n").find(c) != std::string_view::npos;
    if (!is_space) {
      line += c;
    } else if (line.back() != ' ') {
      line += ' ';
    }
  }
  return line;
}

std::string quotation_of(const std::string& sentence) {
  return fmt::format("Before this it was written: \"{}\"", sentence);
}

/// Neither a heading nor a paragraph, and no part of a dialogue.
bool is_quotable(const SentencedText& text, size_t i) {
  const int64_t tokens = text.tokens(i, i + 1);
  if (tokens < kShortestQuoteTokens || tokens > kLongestQuoteTokens) return false;
  return std::ranges::all_of(
      std::initializer_list<std::string_view>{"\"", "“", "”"},
      [&](std::string_view mark) { return text.sentence(i).find(mark) == std::string_view::npos; });
}

/// Different sentences of the first `count` from `first` on, at most `quotes`.
std::vector<size_t> draw_quoted(const SentencedText& text, size_t first, size_t count,
                                int64_t quotes, std::mt19937_64& generator) {
  std::vector<size_t> quotable, quoted;
  for (size_t i = 0; i < count; ++i) {
    if (is_quotable(text, first + i)) quotable.push_back(i);
  }
  while (std::ssize(quoted) < quotes && !quotable.empty()) {
    std::swap(quotable[draw_below(quotable.size(), generator)], quotable.back());
    quoted.push_back(quotable.back());
    quotable.pop_back();
  }
  return quoted;
}

/// Appends the sentences [first, end) with what is put in; returns where each sentence stands.
std::vector<Span> write_sentences(const SentencedText& text, size_t first, size_t end,
                                  std::vector<Insertion> insertions, std::string& out) {
  std::ranges::stable_sort(insertions, {}, &Insertion::behind);
  std::vector<Span> sentences;
  auto next = insertions.begin();
  for (size_t i = first; i < end; ++i) {
    out += i == first ? text.sentence(i) : text.with_space_before(i);
    sentences.push_back({out.size() - text.sentence(i).size(), out.size()});
    for (; next != insertions.end() && next->behind == i - first; ++next) {
      out += ' ';
      *next->place = {out.size(), out.size() + next->text.size()};
      out += next->text;
    }
  }
  return sentences;
}

}  // namespace

std::optional<NeedlePiece> put_needles(const SentencedText& text, size_t first, size_t end,
                                       const std::vector<NeedleFact>& facts,
                                       const NeedleOptions& options, std::mt19937_64 generator) {
  const NeedlePlaces places(text, first, end, (options.length + 9) / 10);
  if (places.stated() == 0) return std::nullopt;
  NeedlePiece piece;
  std::vector<Insertion> insertions;
  piece.facts.resize(facts.size());
  for (size_t i = 0; i < facts.size(); ++i) {
    Needle& needle = piece.facts[i];
    needle.value = facts[i].value;
    const size_t stated = draw_below(places.stated(), generator);
    const size_t asked = places.draw_further_on(stated, generator);
    insertions.push_back({stated, facts[i].statement, &needle.stated});
    insertions.push_back({asked, facts[i].question, &needle.repeated});
  }
  const auto quoted = draw_quoted(text, first, places.stated(), options.quotes, generator);
  piece.quotes.resize(quoted.size());
  for (size_t i = 0; i < quoted.size(); ++i) {
    Needle& needle = piece.quotes[i];
    needle.value = on_one_line(text.sentence(first + quoted[i]));
    const size_t repeated = places.draw_further_on(quoted[i], generator);
    insertions.push_back({repeated, quotation_of(needle.value), &needle.repeated});
  }
  const auto sentences = write_sentences(text, first, end, std::move(insertions), piece.text);
  for (size_t i = 0; i < quoted.size(); ++i) piece.quotes[i].stated = sentences[quoted[i]];
  return piece;
}

int64_t needle_tokens(const std::vector<NeedleFact>& facts, int64_t quotes,
                      const Tokenizer& tokenizer) {
  const int64_t quotation =
      kLongestQuoteTokens + tokens_behind_sentence(tokenizer, " " + quotation_of(""));
  int64_t tokens = quotes * quotation;
  for (const auto& fact : facts) {
    tokens += tokens_behind_sentence(tokenizer, " " + fact.statement) +
              tokens_behind_sentence(tokenizer, " " + fact.question);
  }
  return tokens;
}

}  // namespace longspan
