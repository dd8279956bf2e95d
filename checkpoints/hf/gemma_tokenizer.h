#pragma once

#include <string>

#include "src/core/json.h"

namespace longspan {

/// Whether tokenizer_config.json names transformers' GemmaTokenizer.
bool is_gemma_tokenizer(const Json& tokenizer_config);

/// Makes of a tokenizer.json of BPE what transformers 5.23's GemmaTokenizer makes of its vocabulary
/// and merges, and names in `tokenizer_config` the tokens that this class has where none is named.
/// One of ByteLevel throws Error(kModel) that names `place`, the tokenizer_config.json.
void apply_gemma_tokenizer(Json& tokenizer_config, Json& tokenizer_json, const std::string& place);

}  // namespace longspan
