#pragma once

#include "checkpoints/gguf.h"

namespace longspan {

/// What config.json would say: the llama.* keys of a GGUF in Hugging Face's words. Another
/// architecture, or a RoPE scaling that config.json cannot state, throws Error(kModel).
Json gguf_config_json(const GgufReader& gguf);

}  // namespace longspan
