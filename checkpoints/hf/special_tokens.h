#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "src/core/fields.h"
#include "src/model/model_config.h"

namespace longspan {

/// eos_token_id of a config.json or generation_config.json: one id, a list, or none.
std::vector<int64_t> read_eos_token_ids(Fields& fields);

/// That of a whole config.json or generation_config.json, null when it is not there. What is no id
/// throws Error(kModel) with `place`.
std::vector<int64_t> eos_token_ids_of(const Json& config_json, const std::string& place);

/// The id that Hugging Face's tokenizer puts before a text, if it does: as the post_processor of
/// tokenizer.json says, else `bos_token_id` where tokenizer_config.json has add_bos_token. null
/// stands for a file that is not there.
std::optional<int64_t> added_bos_token(const Json& tokenizer_json, const Json& tokenizer_config,
                                       std::optional<int64_t> bos_token_id);

/// bos_token_id, eos_token_id and pad_token_id of `json` become the config's; those that the config
/// does not have stay as they are.
void write_special_tokens(Json& json, const ModelConfig& config);

}  // namespace longspan
