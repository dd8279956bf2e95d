#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "src/core/json.h"

namespace longspan {

/// All tokens of what hf_tokenizer_json() gives, added ones too, with their ids. Two tokenizers
/// that were saved by different programs are the same when these are.
std::map<std::string, int64_t> token_ids(const Json& tokenizer_json, const std::string& place);

}  // namespace longspan
