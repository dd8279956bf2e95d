#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "checkpoints/sentencepiece/sentencepiece_model.h"
#include "src/core/json.h"

namespace longspan {

/// What lies beside a tokenizer.model; null where there is no such file.
struct TokenizerSideFiles {
  Json tokenizer_config, special_tokens_map, added_tokens;
};

/// The tokens that tokenizer_config.json or special_tokens_map.json names by their use ("bos_token"
/// and the like, then the lists of others): texts, maps with a "content", or null.
std::vector<Json> tokens_by_use(const Json& map);

/// The id that a key of added_tokens_decoder is; nothing where it is none.
std::optional<int64_t> listed_token_id(const std::string& key);

/// Whether tokenizer_config.json names transformers' LlamaTokenizer.
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
