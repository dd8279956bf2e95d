#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "data/tokenizers/added_tokens.h"
#include "data/tokenizers/bpe_vocabulary.h"
#include "data/tokenizers/byte_fallback_decoder.h"
#include "data/tokenizers/byte_pair_merges.h"
#include "data/tokenizers/merge_boundaries.h"
#include "data/tokenizers/normalizer.h"
#include "data/tokenizers/pre_tokenizer.h"
#include "data/tokenizers/tokenizer.h"

namespace longspan {

/// Byte pair encoding as a tokenizer.json describes it: added tokens are cut out, the rest is
/// normalized, a pre-tokenizer cuts it into pieces, and byte pair merges make each piece's first
/// symbols into tokens. Byte-level for GPT-2, LLaMA 3, Qwen and SmolLM; with byte fallback for
/// LLaMA 2, Mistral, Phi-3 and Gemma.
class Bpe : public Tokenizer {
 public:
  /// Throws Error(kModel) with `place` and the part that is malformed or not supported.
  Bpe(const Json& tokenizer_json, const std::string& place);
  ~Bpe() override;

  std::vector<int32_t> encode(std::string_view text) const override;
  std::string decode(const std::vector<int32_t>& ids, bool skip_special_tokens) const override;
  std::string decode_whole(const std::vector<int32_t>& ids,
                           bool skip_special_tokens) const override;
  int64_t vocab_size() const override { return static_cast<int64_t>(vocabulary_.tokens.size()); }
  std::string fingerprint() const override;

 private:
  struct Scratch;  // what one encode() at a time needs
  std::unique_ptr<Scratch> borrow_scratch() const;

  std::optional<MergeBoundaries> merge_boundaries() const;
  std::vector<AddedToken> added_tokens(bool normalized) const;
  void encode_normalized(std::string_view text, bool first, Scratch& scratch,
                         std::vector<int32_t>& ids) const;
  void encode_words(std::string_view piece, Scratch& scratch, std::vector<int32_t>& ids) const;
  void encode_word(std::string_view word, Scratch& scratch, std::vector<int32_t>& ids) const;
  void first_symbols(std::string_view word, std::vector<int32_t>& symbols) const;

  BpeVocabulary vocabulary_;
  Normalizer normalizer_;
  PreTokenizer pre_tokenizer_;
  std::optional<ByteFallbackDecoder> decoder_;
  BytePairMerges merges_;
  std::optional<MergeBoundaries> boundaries_;             // inside a piece
  std::unordered_map<std::string, int32_t> whole_words_;  // for ignore_merges
  AddedTokenFinder verbatim_tokens_, normalized_tokens_;

  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Scratch>> idle_;
};

}  // namespace longspan
