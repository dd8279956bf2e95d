#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "checkpoints/gguf/gguf_sentencepiece.h"

namespace longspan {

/// A SentencePiece tokenizer.model: the parts of its protocol buffer (sentencepiece_model.proto of
/// github.com/google/sentencepiece) that decide how a text is cut, with that file's defaults.
struct SentencePieceModel {
  enum class Algorithm { kUnigram = 1, kBpe = 2, kWord = 3, kChar = 4 };

  std::vector<std::string> pieces;  // by id
  std::vector<float> scores;
  std::vector<GgufTokenType> types;  // llama.cpp's numbers are SentencePiece's

  Algorithm algorithm = Algorithm::kUnigram;
  bool byte_fallback = false;
  bool treat_whitespace_as_suffix = false;
  std::string bos_piece = "<s>", eos_piece = "</s>";

  std::string character_map;  // the text is normalized by this table, such as nmt_nfkc
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
  bool escape_whitespaces = true;
};

/// Reads the bytes of a tokenizer.model. What is damaged, or has a piece twice, empty, not in
/// UTF-8, without a finite score or of more than 1024 bytes, no or two pieces for the unknown, or
/// lacks one for a byte that it falls back to, throws Error(kModel) with `place`.
SentencePieceModel read_sentencepiece_model(std::string_view bytes, const std::string& place);

/// What read_sentencepiece_model() refuses.
void check_sentencepiece_model(const SentencePieceModel& model, const std::string& place);

/// The bytes of a tokenizer.model that the library cuts alike.
std::string write_sentencepiece_model(const SentencePieceModel& model);

/// Whether the model takes a text as it is, but for the signs for its spaces.
bool takes_text_as_it_is(const SentencePieceModel& model);

}  // namespace longspan
