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

  bool has_character_map = false;  // the text is normalized by a table, such as nmt_nfkc
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
  bool escape_whitespaces = true;
};

/// Reads the bytes of a tokenizer.model. What is damaged, or has a piece twice, empty or not in
/// UTF-8, throws Error(kModel) with `place`.
SentencePieceModel read_sentencepiece_model(std::string_view bytes, const std::string& place);

}  // namespace longspan
