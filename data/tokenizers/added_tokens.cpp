#include "data/tokenizers/added_tokens.h"

#include <algorithm>

#include "data/tokenizers/white_space.h"
#include "src/core/utf8.h"

namespace longspan {

namespace {

// \w of Rust's regex crate (Unicode UTS 18), which is wider than PCRE2's.
bool is_word(std::string_view code_point, RegexScratch& scratch) {
  static const Regex kWord("[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}]", "single_word");
  return kWord.matches(code_point, scratch);
}

bool ends_with_word(std::string_view text, RegexScratch& scratch) {
  return !text.empty() && is_word(text.substr(start_of_last_code_point(text)), scratch);
}

bool starts_with_word(std::string_view text, RegexScratch& scratch) {
  if (text.empty()) return false;
  size_t end = 0;
  next_code_point(text, end);
  return is_word(text.substr(0, end), scratch);
}

}  // namespace

AddedTokenFinder::AddedTokenFinder(std::vector<AddedToken> tokens)
    : tokens_(std::move(tokens)), trie_(1) {
  for (const auto& token : tokens_) {
    if (token.content.empty()) continue;
    starts_[static_cast<unsigned char>(token.content[0])] = true;
    size_t node = 0;
    for (char byte : token.content) {
      auto [edge, added] = trie_[node].next.try_emplace(byte, trie_.size());
      node = edge->second;
      if (added) trie_.emplace_back();
    }
    trie_[node].token = &token;
  }
}

AddedTokenFinder::Match AddedTokenFinder::longest(std::string_view text, size_t begin) const {
  Match match;
  if (!starts_[static_cast<unsigned char>(text[begin])]) return match;
  size_t node = 0;
  for (size_t at = begin; at < text.size(); ++at) {
    auto edge = trie_[node].next.find(text[at]);
    if (edge == trie_[node].next.end()) break;
    node = edge->second;
    if (trie_[node].token != nullptr) match = {trie_[node].token, begin, at + 1};
  }
  return match;
}

bool AddedTokenFinder::widen(std::string_view text, size_t done, Match& match,
                             RegexScratch& scratch) const {
  if (match.token->single_word && (ends_with_word(text.substr(0, match.begin), scratch) ||
                                   starts_with_word(text.substr(match.end), scratch))) {
    return false;
  }
  if (match.token->lstrip) {
    while (match.begin > done) {
      size_t before = start_of_last_code_point(text.substr(0, match.begin));
      size_t at = before;
      if (!is_white_space(next_code_point(text, at))) break;
      match.begin = before;
    }
    match.begin = std::max(match.begin, done);
  }
  while (match.token->rstrip && match.end < text.size()) {
    size_t at = match.end;
    if (!is_white_space(next_code_point(text, at))) break;
    match.end = at;
  }
  return true;
}

}  // namespace longspan
