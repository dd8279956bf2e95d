#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "src/core/json.h"

namespace longspan {

/// tokenizer.ggml.token_type.
enum class GgufTokenType : int32_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6,
};

/// The merges that make byte-fallback BPE cut as SentencePiece's BPE does: each way to put a normal
/// token together from two tokens, by falling score (transformers' generate_merges,
/// convert_slow_tokenizer.py). `tokens`, `scores` and `types` have an entry a token; `place` names
/// the file in errors.
std::vector<std::pair<std::string, std::string>> sentencepiece_merges(
    const std::vector<std::string>& tokens, const std::vector<float>& scores,
    const std::vector<GgufTokenType>& types, const std::string& place);

/// The reverse: a score for each token of `vocabulary` (token -> id) so that SentencePiece's BPE
/// cuts as `merges` do: minus the rank of the first merge that makes it. Throws Error(kModel) when
/// no scores do, because the merges are not all those of a SentencePiece model.
std::vector<float> sentencepiece_scores(
    const std::unordered_map<std::string, size_t>& vocabulary, size_t size,
    const std::vector<std::pair<std::string, std::string>>& merges, const std::string& place);

/// "<0x0A>".
bool is_byte_token(std::string_view token);

/// tokenizer.json's normalizer and decoder for SentencePiece: blanks are "▁", and one comes before
/// the text where `space_prefix`.
Json sentencepiece_normalizer(bool space_prefix);
Json sentencepiece_decoder(bool space_prefix);

}  // namespace longspan
