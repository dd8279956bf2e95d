#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "data/tokenizers/added_tokens.h"
#include "src/core/json.h"

namespace longspan {

/// What a tokenizer.json says of its BPE: the tokens and merges. A text's first symbols are its
/// bytes (byte-level), or its characters and the bytes of those that are no token (byte fallback).
struct BpeVocabulary {
  enum class Kind { kAbsent, kOrdinary, kAdded, kSpecial };
  struct Token {
    std::string text;  // the piece of text it stands for; with byte fallback as the file writes it
    Kind kind = Kind::kAbsent;
    bool whole_word = false;  // a piece of text that is `text` may be this token
  };
  struct Merge {
    int32_t left, right, merged;
  };

  std::vector<Token> tokens;  // by id
  bool byte_fallback = false;
  std::array<int32_t, 256> byte_ids{};  // -1: the vocabulary lacks the byte, and text loses it
  std::unordered_map<char32_t, int32_t> character_ids;  // with byte fallback
  std::vector<Merge> merges;                            // from the first to the last
  std::vector<AddedToken> added_tokens;
  bool ignore_merges = false;  // a piece that is a token stays whole
};

/// Reads `model` (type BPE, merges as "a b" or ["a", "b"], with byte_fallback all of <0x00> to
/// <0xFF>) and `added_tokens`. What is malformed or not supported throws Error(kModel) with `place`
/// and the key, or a nlohmann exception where a value has the wrong type.
BpeVocabulary read_bpe_vocabulary(const Json& tokenizer_json, const std::string& place);

}  // namespace longspan
