#pragma once

#include "checkpoints/gguf/gguf_writer.h"
#include "checkpoints/model_source.h"

namespace longspan {

/// Sets the keys tokenizer.* from the source's tokenizer.json and tokenizer_config.json: tokens,
/// types, merges or scores, pre-tokenizer, special tokens, whether bos and eos are added, and the
/// chat template. Ids that the model has and the tokenizer lacks become unused tokens. A tokenizer
/// that llama.cpp cannot be told of throws Error(kModel); none at all is a warning.
void write_gguf_vocabulary(const ModelSource& source, const ModelConfig& config,
                           GgufMetadata& metadata);

}  // namespace longspan
