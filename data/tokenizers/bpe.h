#pragma once

#include <optional>
#include <string>

#include "data/tokenizers/bpe_vocabulary.h"
#include "data/tokenizers/byte_pair_merges.h"
#include "data/tokenizers/merge_boundaries.h"
#include "data/tokenizers/subword_model.h"

namespace longspan {

/// Byte pair encoding: merges make a piece's first symbols into tokens. The symbols are bytes
/// behind the pre-tokenizer ByteLevel (GPT-2, LLaMA 3, Qwen, SmolLM), else characters, with byte
/// fallback for those that no token has (LLaMA 2, Mistral, Phi-3, Gemma).
class Bpe : public SubwordModel {
 public:
  explicit Bpe(BpeVocabulary vocabulary);

  void encode(std::string_view piece, SubwordScratch& scratch, std::vector<int32_t>& ids,
              EncodeNotes* notes) const override;
  std::string kind() const override;
  std::string options() const override;
  void describe(const std::function<void(const std::string&)>& line) const override;

 private:
  std::optional<MergeBoundaries> merge_boundaries() const;
  void encode_word(std::string_view word, SubwordScratch& scratch, std::vector<int32_t>& ids,
                   EncodeNotes* notes) const;
  bool first_symbols(std::string_view word, std::vector<int32_t>& symbols) const;
  std::optional<int32_t> id_of(std::string_view symbol) const;
  bool append_bytes(std::string_view character, std::vector<int32_t>& symbols) const;
  void note_lost(std::string_view word, EncodeNotes& notes) const;

  BpeVocabulary vocabulary_;
  BytePairMerges merges_;
  std::optional<MergeBoundaries> boundaries_;  // inside a piece
};

/// Throws Error(kModel) with `place` and the part that is malformed or not supported.
SubwordModelParts read_bpe(const Json& tokenizer_json, bool byte_level, const std::string& place);

}  // namespace longspan
