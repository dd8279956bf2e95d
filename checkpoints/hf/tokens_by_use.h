#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "src/core/json.h"

namespace longspan {

/// What lies beside a tokenizer.json or tokenizer.model; null where there is no such file.
struct TokenizerSideFiles {
  Json tokenizer_config, special_tokens_map, added_tokens;
};

/// Whether `tokenizer_class` of a tokenizer_config.json is `name`, or the fast one of that name.
bool names_tokenizer_class(const Json& tokenizer_config, const std::string& name);

/// That key of tokenizer_config.json; null where it has none.
Json added_tokens_decoder(const TokenizerSideFiles& files);

/// The tokens that tokenizer_config.json and special_tokens_map.json name by their use, as
/// transformers 5.23 takes them: "bos_token" and the like, then those of a family ("image_token"),
/// then the lists of others. Texts, maps with a "content", or null.
std::vector<Json> tokens_by_use(const TokenizerSideFiles& files);

/// The id that a key of added_tokens_decoder is; nothing where it is none.
std::optional<int64_t> listed_token_id(const std::string& key);

}  // namespace longspan
