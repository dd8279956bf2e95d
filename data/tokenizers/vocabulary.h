#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "data/tokenizers/added_tokens.h"
#include "src/core/json.h"

namespace longspan {

/// The tokens of a tokenizer.json by id, and those of them that are looked for in a text before
/// its model cuts it.
struct Vocabulary {
  enum class Kind { kAbsent, kOrdinary, kAdded, kSpecial };
  struct Token {
    std::string text;  // what it stands for; where the decoder has work to do, as the file has it
    Kind kind = Kind::kAbsent;
  };

  std::vector<Token> tokens;  // by id
  std::vector<AddedToken> added_tokens;

  /// The token of that id, made where there is none. An id out of range throws Error(kModel) with
  /// `place` and the token's text.
  Token& at(int64_t id, const std::string& text, const std::string& place);

  /// Takes up `added_tokens` of a tokenizer.json. `ids` has the model's own; an id that contradicts
  /// them throws Error(kModel).
  void add(const Json& tokenizer_json, const std::unordered_map<std::string, int32_t>& ids,
           const std::string& place);
};

/// A token's id, as a number whole (nlohmann would make one of any); else Error(kModel).
int64_t token_id(const Json& json, const std::string& place);

/// "<0x0A>" of 10: the token of a byte that stands for no character.
std::string byte_token(int byte);

}  // namespace longspan
