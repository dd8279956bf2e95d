#pragma once

#include <string>

#include "data/tokenizers/tokenizer.h"
#include "src/core/fields.h"
#include "src/core/keyed.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_llama.h"

namespace longspan {

/// One id a byte.
class ByteTokenizer : public Tokenizer {
 public:
  std::vector<int32_t> encode(std::string_view text) const override {
    std::vector<int32_t> ids;
    for (char c : text) ids.push_back(static_cast<unsigned char>(c));
    return ids;
  }
  std::vector<int32_t> encode_noting(std::string_view text, EncodeNotes&) const override {
    return encode(text);
  }
  std::string decode(const std::vector<int32_t>& ids, bool) const override {
    return {ids.begin(), ids.end()};
  }
  int64_t vocab_size() const override { return 256; }
  std::string fingerprint() const override { return "bytes"; }
};

/// Gives a task, an arm or a pattern these keys, which it must take.
inline void give_keys(Keyed& taker, const Json& keys) {
  Diagnostics diagnostics;
  Fields fields(keys, diagnostics);
  taker.read(fields);
  fields.finish();
  diagnostics.throw_if_any(ExitCode::kUsage);
}

template <class Task>
Task task_with(const Json& keys) {
  Task task;
  give_keys(task, keys);
  return task;
}

inline std::unique_ptr<CausalLm> byte_model() {
  ModelConfig config = tiny_llama_config();
  config.vocab_size = 256;
  return random_model(config);
}

/// `size` letters that do not repeat in a simple way.
inline std::string some_text(size_t size, uint64_t seed = 1) {
  std::string text;
  for (uint64_t state = seed; text.size() < size;) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    text += static_cast<char>('a' + (state >> 33) % 26);
  }
  return text;
}

}  // namespace longspan
