#pragma once

#include <cstdint>
#include <vector>

#include "src/core/fields.h"

namespace longspan {

/// eos_token_id of a config.json or generation_config.json: one id, a list, or none.
std::vector<int64_t> read_eos_token_ids(Fields& fields);

}  // namespace longspan
