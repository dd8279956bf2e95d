#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "src/core/json.h"

namespace longspan {

/// What llama.cpp's tokenizer.ggml.pre stands for, as parts of a tokenizer.json.
struct GgufPreTokenizer {
  Json pre_tokenizer;
  Json normalizer = nullptr;
  bool ignore_merges = false;
  bool adds_bos = false;  // when tokenizer.ggml.add_bos_token does not say
};

/// Nothing for a name that we do not know.
std::optional<GgufPreTokenizer> find_gguf_pre_tokenizer(std::string_view name);

/// The name of a tokenizer.json's pre_tokenizer and ignore_merges; "" when llama.cpp has none that
/// we know.
std::string gguf_pre_tokenizer_name(const Json& tokenizer_json);

/// The names that find_gguf_pre_tokenizer() knows, separated by commas.
std::string gguf_pre_tokenizer_names();

}  // namespace longspan
