#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "checkpoints/sentencepiece/sentencepiece_model.h"
#include "src/core/json.h"

namespace longspan {

/// The arrays of a GGUF's tokenizer, an entry an embedding: what a tokenizer.json does not name is
/// filled up as llama.cpp's converter does, "[PAD7]".
struct GgufTokenList {
  std::vector<std::string> tokens;
  std::vector<GgufTokenType> types;
  std::vector<float> scores;  // of SentencePiece and Unigram
};

/// The model's vocabulary with the added tokens over it. `pieces` are those of a SentencePiece
/// model, if it is one. Tokens beyond the embeddings are warned of and left out; what is malformed
/// throws Error(kModel) with `place` or a nlohmann exception.
GgufTokenList gguf_token_list(const Json& tokenizer_json,
                              const std::optional<SentencePieceModel>& pieces, int64_t embeddings,
                              const std::string& place);

/// A tokenizer that a GGUF has no place for: Error(kModel) with `place` and `what`.
[[noreturn]] void refuse_for_gguf(const std::string& place, const std::string& what);

/// The value of a key that tokenizer.json must have.
const Json& gguf_member(const Json& json, const char* key, const std::string& place);

}  // namespace longspan
