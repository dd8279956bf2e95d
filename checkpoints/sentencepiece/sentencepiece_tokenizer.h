#pragma once

#include <string>

#include "checkpoints/hf/tokens_by_use.h"
#include "checkpoints/sentencepiece/sentencepiece_model.h"
#include "src/core/json.h"

namespace longspan {

/// Whether tokenizer_config.json names transformers' LlamaTokenizer, or CodeLlamaTokenizer, which
/// has the same rules without `legacy`.
bool is_llama_tokenizer(const Json& tokenizer_config);

/// Makes normalizer, pre_tokenizer and decoder of a tokenizer.json what transformers 5.23's
/// LlamaTokenizer puts there, by `legacy` and `add_prefix_space` of tokenizer_config.json.
void apply_llama_tokenizer(const Json& tokenizer_config, Json& tokenizer_json);

/// The tokenizer in the form of a tokenizer.json, with the model as sentencepiece_json.h has it;
/// hf_tokenizer.h says by which rules. Side files that contradict the model throw Error(kModel)
/// with `place`.
Json sentencepiece_tokenizer_json(SentencePieceModel model, const TokenizerSideFiles& files,
                                  const std::string& place);

}  // namespace longspan
