#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "src/core/json.h"

namespace longspan {

/// Text to token ids and back. Thread-safe once made.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  /// The ids of Hugging Face's tokenizer(text, add_special_tokens=False), added tokens in the text
  /// recognised as it recognises them. Invalid UTF-8 is read as U+FFFD.
  virtual std::vector<int32_t> encode(std::string_view text) const = 0;
  /// The bytes that the ids stand for, wherever in a text they are; skip_special_tokens leaves
  /// special added tokens out. An id outside the vocabulary throws Error(kData).
  virtual std::string decode(const std::vector<int32_t>& ids,
                             bool skip_special_tokens = false) const = 0;
  /// decode() of a text from its start: without the space that a tokenizer of LLaMA 2's kind puts
  /// before the first word, as Hugging Face's decode() leaves it out.
  virtual std::string decode_whole(const std::vector<int32_t>& ids,
                                   bool skip_special_tokens = false) const {
    return decode(ids, skip_special_tokens);
  }
  virtual int64_t vocab_size() const = 0;  // largest id + 1
  /// SHA-256-like digest (hex) of all that decides the ids: two tokenizers with one fingerprint
  /// give the same ids. A token store carries it.
  virtual std::string fingerprint() const = 0;
};

/// The tokenizer of a parsed tokenizer.json; `place` names it in errors (kModel).
std::unique_ptr<Tokenizer> make_tokenizer(const Json& tokenizer_json, const std::string& place);

}  // namespace longspan
