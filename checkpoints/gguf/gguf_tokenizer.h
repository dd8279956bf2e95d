#pragma once

#include "checkpoints/gguf/gguf.h"

namespace longspan {

/// tokenizer.json of Hugging Face's tokenizers, rebuilt from the keys tokenizer.ggml.*: byte-level
/// BPE (model "gpt2") with a known pre-tokenizer (see gguf_pre_tokenizer.h), or SentencePiece's BPE
/// ("llama") or Unigram ("t5") with the model as sentencepiece_json.h has it. Others throw
/// Error(kModel). null when the file has no tokenizer.
Json gguf_tokenizer_json(const GgufReader& gguf);

/// tokenizer_config.json: the special tokens and model_max_length.
Json gguf_tokenizer_config_json(const GgufReader& gguf);

}  // namespace longspan
