#pragma once

#include <optional>
#include <string>

#include "checkpoints/sentencepiece/sentencepiece_model.h"
#include "src/core/json.h"

namespace longspan {

/// The `model` of a tokenizer.json whose text the SentencePiece library cuts: {"type":
/// "SentencePiece", "proto": its bytes, "cut_freely": whether parts that no piece joins may be cut
/// one by one}. It is for make_tokenizer() alone and no file has it. `plain`: the normalizer has
/// put the signs for spaces, so that the library adds none.
Json sentencepiece_model_json(SentencePieceModel model, bool plain);

/// The model of a tokenizer.json that has such a one.
std::optional<SentencePieceModel> sentencepiece_model_of(const Json& tokenizer_json,
                                                         const std::string& place);

/// What is written as tokenizer.json: the same, but with the model that tokenizers has for it, BPE
/// with merges by its scores or Unigram. They cut alike but where scores of BPE are tied. A model
/// that tokenizers has none for throws Error(kModel) with `place`.
Json tokenizer_json_file(Json tokenizer_json, const std::string& place);

}  // namespace longspan
