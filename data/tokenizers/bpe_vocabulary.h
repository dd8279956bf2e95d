#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "data/tokenizers/vocabulary.h"
#include "src/core/json.h"

namespace longspan {

/// What a tokenizer.json says of its BPE beside the tokens' texts. A text's first symbols are its
/// bytes (byte-level), or its characters and the bytes of those that are no token (byte fallback).
struct BpeVocabulary {
  struct Merge {
    int32_t left, right, merged;
  };
  struct TextHash : std::hash<std::string_view> {
    using is_transparent = void;
  };

  bool byte_level = false, byte_fallback = false;
  std::array<int32_t, 256> byte_ids{};                  // -1: the vocabulary lacks the byte
  std::unordered_map<char32_t, int32_t> character_ids;  // unless byte-level
  std::optional<int32_t> unknown_id;  // of what has no token; without it, text loses it
  bool fuse_unknown = false;          // one for neighbours
  std::vector<Merge> merges;          // from the first to the last
  bool ignore_merges = false;         // a piece that is a token stays whole:
  std::unordered_map<std::string, int32_t, TextHash, std::equal_to<>> whole_words;

  std::vector<std::string> merged_texts;  // of merges, unless byte-level
};

/// Reads `model` (type BPE, merges as "a b" or ["a", "b"]) into `vocabulary` and what is returned;
/// `ids` becomes the map of its tokens. What is malformed or not supported throws Error(kModel)
/// with `place` and the key, or a nlohmann exception where a value has the wrong type.
BpeVocabulary read_bpe_vocabulary(const Json& model, bool byte_level, const std::string& place,
                                  Vocabulary& vocabulary,
                                  std::unordered_map<std::string, int32_t>& ids);

}  // namespace longspan
