#include "checkpoints/gguf/gguf_token_id.h"

#include "src/core/log.h"

namespace longspan {

std::optional<int64_t> gguf_token_id(const GgufReader& gguf, const char* key) {
  if (!gguf.value(key)) return std::nullopt;
  const int64_t id = gguf.integer(key);
  const Json* tokens = gguf.value("tokenizer.ggml.tokens");
  if (!tokens || !tokens->is_array()) return id;
  if (id >= 0 && id < std::ssize(*tokens)) return id;
  log_warning_once("{}: {} is {}, the vocabulary has {}; taken as not stated", gguf.place(), key,
                   id, tokens->size());
  return std::nullopt;
}

}  // namespace longspan
