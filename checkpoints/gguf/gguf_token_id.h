#pragma once

#include <cstdint>
#include <optional>

#include "checkpoints/gguf/gguf.h"

namespace longspan {

/// The token that the file names under `key`. None where it names none, or one beyond its
/// vocabulary, with a warning: llama.cpp passes over it too, and some files say 4294967295 for no
/// padding.
std::optional<int64_t> gguf_token_id(const GgufReader& gguf, const char* key);

}  // namespace longspan
