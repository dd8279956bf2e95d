#pragma once

#include "checkpoints/gguf.h"

namespace longspan {

/// tokenizer.json of Hugging Face's tokenizers, rebuilt from tokenizer.ggml.tokens, merges and
/// token_type. Byte-level BPE with a known pre-tokenizer only (tokenizer.ggml.model "gpt2"; pre
/// "smollm", "llama-bpe", "qwen2", "gpt-2", "default"); others throw Error(kModel). null when the
/// file has no tokenizer.
Json gguf_tokenizer_json(const GgufReader& gguf);

/// tokenizer_config.json: the special tokens, chat template and model_max_length.
Json gguf_tokenizer_config_json(const GgufReader& gguf);

}  // namespace longspan
