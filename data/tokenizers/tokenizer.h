#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "src/core/json.h"

namespace longspan {

/// How often encode() met in a text what its writer may not have meant.
struct EncodeNotes {
  std::map<std::string, int64_t> lost;     // characters that no token has: left out, or unknown
  std::map<std::string, int64_t> special;  // special tokens that stood in the text
};

/// Text to token ids and back. Thread-safe once made.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  /// The ids of Hugging Face's tokenizer(text, add_special_tokens=False), added tokens in the text
  /// recognised as it recognises them. Invalid UTF-8 is read as U+FFFD.
  virtual std::vector<int32_t> encode(std::string_view text) const = 0;
  /// The same, and adds to `notes` what it met.
  virtual std::vector<int32_t> encode_noting(std::string_view text, EncodeNotes& notes) const = 0;
  /// The bytes that the ids stand for, wherever in a text they are; skip_special_tokens leaves
  /// special added tokens out. An id without a token (see has_token) gives nothing; a negative one
  /// throws Error(kData).
  virtual std::string decode(const std::vector<int32_t>& ids,
                             bool skip_special_tokens = false) const = 0;
  /// decode() of a text from its start: without the space that a tokenizer of LLaMA 2's kind puts
  /// before the first word, as Hugging Face's decode() leaves it out.
  virtual std::string decode_whole(const std::vector<int32_t>& ids,
                                   bool skip_special_tokens = false) const {
    return decode(ids, skip_special_tokens);
  }
  virtual int64_t vocab_size() const = 0;  // largest id + 1
  /// Embeddings are often padded to a round number: their last rows have no token.
  virtual bool has_token(int64_t id) const { return id >= 0 && id < vocab_size(); }
  /// SHA-256 (hex) of all that decides the ids of text without control tokens: two
  /// tokenizers with one fingerprint give the same. A token store carries it.
  virtual std::string fingerprint() const = 0;
};

/// The ids below `embeddings` that no text has, which a model is not to choose.
std::vector<int64_t> ids_without_token(const Tokenizer& tokenizer, int64_t embeddings);

/// The tokenizer of a parsed tokenizer.json, or of what hf_tokenizer_json() makes; `place` names it
/// in errors (kModel). With `"split_special_tokens": true` special tokens in a text are text.
std::unique_ptr<Tokenizer> make_tokenizer(const Json& tokenizer_json, const std::string& place);

}  // namespace longspan
