#include "data/documents/sentenced_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "data/documents/sentences.h"

namespace longspan {

int64_t token_count(const Tokenizer& tokenizer, std::string_view text) {
  return std::ssize(tokenizer.encode(text));
}

int64_t tokens_behind_sentence(const Tokenizer& tokenizer, std::string_view text) {
  return token_count(tokenizer, fmt::format(".{}", text)) - token_count(tokenizer, ".");
}

SentencedText::SentencedText(std::string_view text, const Tokenizer& tokenizer)
    : text_(text), sentences_(sentence_spans(text, SentenceEnd::kBlankLine)) {
  for (size_t i = 0; i < size(); ++i) {
    const int64_t tokens = tokens_behind_sentence(tokenizer, with_space_before(i));
    tokens_to_.push_back(tokens_to_[i] + std::max<int64_t>(0, tokens));
  }
}

std::string_view SentencedText::sentence(size_t i) const {
  return text_.substr(sentences_[i].begin, sentences_[i].end - sentences_[i].begin);
}

std::string_view SentencedText::with_space_before(size_t i) const {
  const size_t begin = i == 0 ? 0 : sentences_[i - 1].end;
  return text_.substr(begin, sentences_[i].end - begin);
}

size_t SentencedText::fitting(size_t first, int64_t tokens) const {
  const auto begin = tokens_to_.begin() + static_cast<int64_t>(first);
  const auto behind = std::upper_bound(begin, tokens_to_.end(), *begin + tokens);
  return first + static_cast<size_t>(std::max<int64_t>(0, behind - begin - 1));
}

}  // namespace longspan
