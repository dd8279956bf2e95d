#pragma once

#include "checkpoints/gguf/gguf.h"
#include "checkpoints/gguf/gguf_architecture.h"
#include "checkpoints/gguf/gguf_rope.h"

namespace longspan {

/// general.architecture; another than ours throws Error(kModel) that lists them.
const GgufArchitecture& gguf_architecture(const GgufReader& gguf);

/// What config.json would say: the keys of a GGUF in Hugging Face's words. What config.json cannot
/// state throws Error(kModel).
Json gguf_config_json(const GgufReader& gguf);

/// The reverse: sets the keys of shape, attention and RoPE, and returns the tensors that RoPE
/// takes. What llama.cpp cannot compute throws Error(kModel); a sliding window that it leaves out
/// is a warning.
std::vector<GgufRopeTensor> write_gguf_config(const ModelConfig& config,
                                              const GgufArchitecture& architecture,
                                              GgufMetadata& metadata);

}  // namespace longspan
