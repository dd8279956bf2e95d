#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/tokenizers/piece_trie.h"
#include "data/tokenizers/subword_model.h"

namespace longspan {

/// The unigram language model of Kudo (2018, arXiv 1804.10959) as tokenizers has it: of all ways to
/// cut a text into pieces the one whose scores sum to most. llm-jp and PLaMo have such
/// vocabularies.
class Unigram : public SubwordModel {
 public:
  struct Options {
    std::optional<int32_t> unknown_id;
    bool byte_fallback = false;
  };

  /// `pieces` and `scores` by id.
  Unigram(const std::vector<std::string>& pieces, std::vector<double> scores, Options options);

  void encode(std::string_view piece, SubwordScratch& scratch, std::vector<int32_t>& ids,
              EncodeNotes* notes) const override;
  std::string kind() const override { return "Unigram 1"; }
  std::string options() const override;
  void describe(const std::function<void(const std::string&)>& line) const override;

 private:
  struct Step {  // the best way to a place in the text
    double score = 0;
    int32_t id = -1;
    uint32_t length = 0;  // of its last piece, in bytes; 0: none leads there
  };
  std::vector<Step> best_steps(std::string_view text) const;
  bool append_ids(std::string_view part, std::vector<int32_t>& ids, EncodeNotes* notes) const;

  std::vector<double> scores_;
  double unknown_score_;
  Options options_;
  PieceTrie trie_;
  std::array<int32_t, 256> byte_ids_{};  // -1: the vocabulary lacks the byte
};

/// Throws Error(kModel) with `place` and the part that is malformed or not supported.
SubwordModelParts read_unigram(const Json& tokenizer_json, const std::string& place);

}  // namespace longspan
