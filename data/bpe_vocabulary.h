#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "data/added_tokens.h"
#include "src/core/json.h"

namespace longspan {

/// What a tokenizer.json of a byte-level BPE says besides its pre_tokenizer.
struct BpeVocabulary {
  enum class Kind { kAbsent, kOrdinary, kAdded, kSpecial };
  struct Token {
    std::string bytes;  // what it decodes to
    Kind kind = Kind::kAbsent;
    bool whole_word = false;  // a piece of text with these bytes may be this token
  };
  struct Merge {
    int32_t left, right, merged;
  };

  std::vector<Token> tokens;            // by id
  std::array<int32_t, 256> byte_ids{};  // -1: the vocabulary lacks the byte, and text loses it
  std::vector<Merge> merges;            // from the first to the last
  std::vector<AddedToken> added_tokens;
  bool ignore_merges = false;  // a piece that is a token stays whole
};

/// Reads `model` (type BPE, merges as "a b" or ["a", "b"]) and `added_tokens`. What is malformed or
/// not supported throws Error(kModel) with `place` and the key, or a nlohmann exception where a
/// value has the wrong type.
BpeVocabulary read_bpe_vocabulary(const Json& tokenizer_json, const std::string& place);

}  // namespace longspan
