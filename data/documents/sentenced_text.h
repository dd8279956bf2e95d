#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/documents/span.h"
#include "data/tokenizers/tokenizer.h"

namespace longspan {

int64_t token_count(const Tokenizer& tokenizer, std::string_view text);

/// What `text` adds behind a sentence: some tokenizers put a space before a text that stands alone.
int64_t tokens_behind_sentence(const Tokenizer& tokenizer, std::string_view text);

/// A text as its sentences (see sentence_spans; a blank line ends one too), with the tokens of
/// each. The text outlives it.
class SentencedText {
 public:
  SentencedText(std::string_view text, const Tokenizer& tokenizer);

  size_t size() const { return sentences_.size(); }
  std::string_view sentence(size_t i) const;
  /// The sentence and the white space between it and the one before.
  std::string_view with_space_before(size_t i) const;
  /// Of the sentences [first, end). The sum over sentences may differ by a few from the tokens of
  /// all as one text.
  int64_t tokens(size_t first, size_t end) const { return tokens_to_[end] - tokens_to_[first]; }
  /// The end of the most sentences from `first` on that have at most so many tokens.
  size_t fitting(size_t first, int64_t tokens) const;

 private:
  std::string_view text_;
  std::vector<Span> sentences_;
  std::vector<int64_t> tokens_to_ = {0};  // the start of each sentence, and the end of the last
};

}  // namespace longspan
