#include "data/documents/needle_documents.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <random>
#include <utility>

#include "data/documents/needle_facts.h"
#include "data/documents/sentenced_text.h"
#include "src/core/error.h"
#include "src/core/random.h"

namespace longspan {

namespace {

/// What is put in among the most sentences from `end` on that have at most `length` tokens with it;
/// `end` moves behind them. Nothing where there is no place.
std::optional<NeedlePiece> begin_piece(const SentencedText& text, size_t& end,
                                       const std::vector<NeedleFact>& facts, int64_t put_in,
                                       const NeedleOptions& options, const Tokenizer& tokenizer,
                                       const std::mt19937_64& generator) {
  const size_t first = end;
  int64_t budget = options.length - put_in;
  while (true) {
    end = text.fitting(first, budget);
    auto piece = put_needles(text, first, end, facts, options, generator);
    if (!piece) return std::nullopt;
    piece->tokens = token_count(tokenizer, piece->text);
    const int64_t over = piece->tokens - options.length;
    if (over <= 0) return piece;
    budget -= over;  // the sum over sentences was too small
  }
}

/// Appends sentences from `end` on until there are more than `length` tokens; false where there are
/// not so many.
bool complete_piece(NeedlePiece& piece, const SentencedText& text, size_t& end, int64_t length,
                    const Tokenizer& tokenizer) {
  while (piece.tokens <= length) {
    if (end == text.size()) return false;
    const size_t next = std::max(end + 1, text.fitting(end, length - piece.tokens));
    for (; end < next; ++end) piece.text += text.with_space_before(end);
    piece.tokens = token_count(tokenizer, piece.text);
  }
  return true;
}

void check_needle_options(const NeedleOptions& options) {
  for (const auto& [name, count] :
       {std::pair{"--facts", options.facts}, {"--quotes", options.quotes}}) {
    if (count < 0 || count > kMostNeedleFacts) {
      fail(ExitCode::kUsage, "{}: {} is out of range; expected 0 to {}", name, count,
           kMostNeedleFacts);
    }
  }
  if (options.facts + options.quotes == 0) {
    fail(ExitCode::kUsage,
         "--facts 0 --quotes 0: nothing would be put in; expected one of them to be more than 0");
  }
}

}  // namespace

void NeedleReport::add(const NeedlePiece& piece) {
  ++pieces;
  tokens += piece.tokens;
  facts += std::ssize(piece.facts);
  quotes += std::ssize(piece.quotes);
}

NeedleDocuments::NeedleDocuments(const Tokenizer& tokenizer, const NeedleOptions& options)
    : tokenizer_(tokenizer), options_(options) {
  check_needle_options(options);
  auto generator = generator_of(options.seed, 0);
  const auto facts = draw_needle_facts(options.facts, {}, generator);
  const int64_t put_in = needle_tokens(facts, options.quotes, tokenizer);
  if (put_in > options.length / 4 * 3) {
    fail(ExitCode::kUsage,
         "--length {}: {} facts and {} quotes take up to {} tokens, expected three quarters of it "
         "at most; give a longer --length, or fewer --facts and --quotes",
         options.length, options.facts, options.quotes, put_in);
  }
}

void NeedleDocuments::cut(std::string_view whole,
                          const std::function<void(const NeedlePiece&)>& use) {
  const SentencedText text(whole, tokenizer_);
  const auto words = needle_words(whole);
  size_t first = 0;
  while (first < text.size()) {
    auto generator = generator_of(options_.seed, report_.pieces + report_.without_places);
    const auto facts = draw_needle_facts(options_.facts, words, generator);
    const int64_t put_in = needle_tokens(facts, options_.quotes, tokenizer_);
    if (text.tokens(first, text.size()) + put_in <= options_.length) break;
    size_t end = first;
    auto piece = begin_piece(text, end, facts, put_in, options_, tokenizer_, generator);
    if (!piece) {
      ++report_.without_places;
      first = text.fitting(first, options_.length) + 1;
      continue;
    }
    if (!complete_piece(*piece, text, end, options_.length, tokenizer_)) break;
    report_.add(*piece);
    use(*piece);
    first = end;
  }
  if (first >= text.size()) return;
  ++report_.rests;
  const int64_t rest = text.tokens(first, text.size());
  report_.rest_tokens += rest;
  report_.longest_rest_tokens = std::max(report_.longest_rest_tokens, rest);
}

}  // namespace longspan
