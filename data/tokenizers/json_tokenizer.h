#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "data/tokenizers/added_tokens.h"
#include "data/tokenizers/normalizer.h"
#include "data/tokenizers/piece_decoder.h"
#include "data/tokenizers/pre_tokenizer.h"
#include "data/tokenizers/subword_model.h"
#include "data/tokenizers/tokenizer.h"

namespace longspan {

/// What a tokenizer.json describes: added tokens are cut out, the rest is normalized, a
/// pre-tokenizer cuts it into pieces, and the model makes ids of each.
class JsonTokenizer : public Tokenizer {
 public:
  /// Throws Error(kModel) with `place` and the part that is malformed or not supported.
  JsonTokenizer(const Json& tokenizer_json, const std::string& place);
  ~JsonTokenizer() override;

  std::vector<int32_t> encode(std::string_view text) const override {
    return encode(text, nullptr);
  }
  std::vector<int32_t> encode_noting(std::string_view text, EncodeNotes& notes) const override {
    return encode(text, &notes);
  }
  std::string decode(const std::vector<int32_t>& ids, bool skip_special_tokens) const override;
  std::string decode_whole(const std::vector<int32_t>& ids,
                           bool skip_special_tokens) const override;
  int64_t vocab_size() const override { return static_cast<int64_t>(vocabulary_.tokens.size()); }
  bool has_token(int64_t id) const override;
  std::string fingerprint() const override;

 private:
  struct Scratch;  // what one encode() at a time needs
  std::unique_ptr<Scratch> borrow_scratch() const;

  std::vector<AddedToken> added_tokens(bool normalized) const;
  std::vector<int32_t> encode(std::string_view text, EncodeNotes* notes) const;
  void encode_normalized(std::string_view text, bool first, Scratch& scratch,
                         std::vector<int32_t>& ids, EncodeNotes* notes) const;

  Normalizer normalizer_;
  PreTokenizer pre_tokenizer_;
  Vocabulary vocabulary_;
  std::unique_ptr<SubwordModel> model_;
  std::optional<PieceDecoder> decoder_;
  bool split_special_tokens_;
  AddedTokenFinder verbatim_tokens_, normalized_tokens_;

  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Scratch>> idle_;
};

}  // namespace longspan
