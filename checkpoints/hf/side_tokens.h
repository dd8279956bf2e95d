#pragma once

#include "checkpoints/hf/tokens_by_use.h"
#include "src/core/json.h"

namespace longspan {

/// Puts among `added_tokens` of a tokenizer.json what the files beside it have, as
/// transformers 5.23 does: first added_tokens_decoder of tokenizer_config.json, or without it
/// added_tokens.json, whose flags count; then the tokens that special_tokens_map.json (without
/// added_tokens_decoder) and tokenizer_config.json name by their use, where they are none yet. A
/// token that the vocabulary lacks gets the next id, whatever id the file gives it. Also takes up
/// split_special_tokens.
void add_side_tokens(const TokenizerSideFiles& files, Json& tokenizer_json);

}  // namespace longspan
