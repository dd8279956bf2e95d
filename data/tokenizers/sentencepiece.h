#pragma once

#include <memory>
#include <optional>
#include <string>

#include "data/tokenizers/merge_boundaries.h"
#include "data/tokenizers/subword_model.h"

namespace sentencepiece {
class SentencePieceProcessor;
}

namespace longspan {

/// The model of a SentencePiece tokenizer.model, of any of its four types: the SentencePiece
/// library (Kudo and Richardson 2018) normalizes and cuts the text.
class SentencePiece : public SubwordModel {
 public:
  /// `proto`: a serialized ModelProto. One that the library refuses throws Error(kModel).
  /// `cut_freely`: BPE that takes its text as it is, so that parts that no piece joins may be cut
  /// one by one, which is faster.
  SentencePiece(std::string proto, bool cut_freely, const std::string& place);
  ~SentencePiece() override;

  void encode(std::string_view piece, SubwordScratch& scratch, std::vector<int32_t>& ids,
              EncodeNotes* notes) const override;
  std::string kind() const override { return "SentencePiece 1"; }
  std::string options() const override { return ""; }
  void describe(const std::function<void(const std::string&)>& line) const override;

  int32_t size() const;
  const std::string& piece(int32_t id) const;
  bool is_filler(int32_t id) const;

 private:
  void encode_part(std::string_view part, SubwordScratch& scratch, std::vector<int32_t>& ids,
                   EncodeNotes* notes) const;
  void note_lost(std::string_view part, EncodeNotes& notes) const;

  std::string proto_;
  std::unique_ptr<sentencepiece::SentencePieceProcessor> processor_;
  std::optional<MergeBoundaries> boundaries_;
};

/// Of `"model": {"type": "SentencePiece", "proto": binary, "cut_freely": bool}`, as
/// checkpoints/sentencepiece makes it. Throws Error(kModel) with `place`.
SubwordModelParts read_sentencepiece(const Json& tokenizer_json, const std::string& place);

}  // namespace longspan
