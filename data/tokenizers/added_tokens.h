#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "data/tokenizers/regex.h"

namespace longspan {

/// One of tokenizer.json's added_tokens, with its keys.
struct AddedToken {
  int32_t id = 0;
  std::string content;
  bool special = false;
  bool lstrip = false;       // takes the white space before it
  bool rstrip = false;       // ... and behind it
  bool single_word = false;  // only where no letter, digit or underscore touches it
  bool normalized = true;    // looked for after normalisation
};

/// Finds added tokens in a text: leftmost first, the longest of those that start there, each then
/// widened or turned down by its flags (the rules of Hugging Face's AddedVocabulary).
class AddedTokenFinder {
 public:
  explicit AddedTokenFinder(std::vector<AddedToken> tokens = {});
  AddedTokenFinder(AddedTokenFinder&&) = default;
  AddedTokenFinder& operator=(AddedTokenFinder&&) = default;

  /// Calls text(std::string_view) for what lies between and token(const AddedToken&), in order.
  /// With `split_special` special tokens are text.
  template <class OnText, class OnToken>
  void split(std::string_view text, bool split_special, RegexScratch& scratch, OnText&& on_text,
             OnToken&& on_token) const {
    size_t done = 0;  // all before it has been given out
    for (size_t at = 0; at < text.size();) {
      Match match = longest(text, at);
      if (match.token == nullptr) {
        ++at;
        continue;
      }
      at = match.end;
      if (split_special && match.token->special) continue;
      if (!widen(text, done, match, scratch)) continue;
      if (match.begin > done) on_text(text.substr(done, match.begin - done));
      on_token(*match.token);
      done = match.end;
    }
    if (done < text.size()) on_text(text.substr(done));
  }

 private:
  struct Match {
    const AddedToken* token = nullptr;
    size_t begin = 0, end = 0;
  };
  struct Node {
    std::map<char, size_t> next;
    const AddedToken* token = nullptr;
  };

  Match longest(std::string_view text, size_t begin) const;
  bool widen(std::string_view text, size_t done, Match& match, RegexScratch& scratch) const;

  std::vector<AddedToken> tokens_;
  std::vector<Node> trie_;
  std::array<bool, 256> starts_{};
};

}  // namespace longspan
