#include "tools/support/fitted_tokenizer.h"

#include <algorithm>
#include <utility>

#include "src/core/error.h"
#include "src/core/log.h"

namespace longspan {

namespace {

class FittedTokenizer : public Tokenizer {
 public:
  FittedTokenizer(std::unique_ptr<Tokenizer> tokenizer, int64_t embeddings)
      : tokenizer_(std::move(tokenizer)), embeddings_(embeddings) {}

  std::vector<int32_t> encode(std::string_view text) const override {
    return checked(tokenizer_->encode(text));
  }
  std::vector<int32_t> encode_noting(std::string_view text, EncodeNotes& notes) const override {
    return checked(tokenizer_->encode_noting(text, notes));
  }
  std::string decode(const std::vector<int32_t>& ids, bool skip_special_tokens) const override {
    return tokenizer_->decode(ids, skip_special_tokens);
  }
  std::string decode_whole(const std::vector<int32_t>& ids,
                           bool skip_special_tokens) const override {
    return tokenizer_->decode_whole(ids, skip_special_tokens);
  }
  int64_t vocab_size() const override { return tokenizer_->vocab_size(); }
  bool has_token(int64_t id) const override { return tokenizer_->has_token(id); }
  std::string fingerprint() const override { return tokenizer_->fingerprint(); }

 private:
  std::vector<int32_t> checked(std::vector<int32_t> ids) const {
    auto beyond =
        std::find_if(ids.begin(), ids.end(), [&](int32_t id) { return id >= embeddings_; });
    if (beyond == ids.end()) return ids;
    fail(ExitCode::kData,
         "token {} of the text, '{}', has the id {}, and the model only {} embeddings; take the "
         "model's own tokenizer, or text without that token",
         beyond - ids.begin(), tokenizer_->decode({*beyond}), *beyond, embeddings_);
  }

  std::unique_ptr<Tokenizer> tokenizer_;
  int64_t embeddings_;
};

}  // namespace

std::unique_ptr<Tokenizer> fit_to_embeddings(std::unique_ptr<Tokenizer> tokenizer,
                                             int64_t embeddings, const std::string& place) {
  if (tokenizer->vocab_size() <= embeddings) return tokenizer;
  log_warning(
      "{}: the tokenizer has {} ids and the model {} embeddings; a text with one of those beyond "
      "is an error",
      place, tokenizer->vocab_size(), embeddings);
  return std::make_unique<FittedTokenizer>(std::move(tokenizer), embeddings);
}

}  // namespace longspan
