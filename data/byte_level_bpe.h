#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "data/added_tokens.h"
#include "data/bpe_vocabulary.h"
#include "data/byte_pair_merges.h"
#include "data/pre_tokenizer.h"
#include "data/tokenizer.h"

namespace longspan {

/// The tokenizer of GPT-2, LLaMA 3, Qwen and SmolLM: added tokens are cut out, a pre-tokenizer cuts
/// the rest into pieces, and byte pair merges make each piece's bytes into tokens.
class ByteLevelBpe : public Tokenizer {
 public:
  ByteLevelBpe(BpeVocabulary vocabulary, PreTokenizer pre_tokenizer);
  ~ByteLevelBpe() override;

  std::vector<int32_t> encode(std::string_view text) const override;
  std::string decode(const std::vector<int32_t>& ids, bool skip_special_tokens) const override;
  int64_t vocab_size() const override { return static_cast<int64_t>(vocabulary_.tokens.size()); }
  std::string fingerprint() const override;

 private:
  struct Scratch;  // what one encode() at a time needs
  std::unique_ptr<Scratch> borrow_scratch() const;

  void encode_text(std::string_view text, Scratch& scratch, std::vector<int32_t>& ids) const;
  void encode_piece(std::string_view piece, Scratch& scratch, std::vector<int32_t>& ids) const;

  BpeVocabulary vocabulary_;
  PreTokenizer pre_tokenizer_;
  BytePairMerges merges_;
  std::unordered_map<std::string, int32_t> whole_words_;  // by bytes; for ignore_merges
  AddedTokenFinder verbatim_tokens_, normalized_tokens_;

  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Scratch>> idle_;
};

}  // namespace longspan
