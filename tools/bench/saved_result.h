#pragma once

#include <string>
#include <vector>

#include "src/core/json.h"

namespace longspan {

/// The rows of a saved result: a JSON list of maps, or one map. Throws Error(kData).
std::vector<Json> read_result_rows(const std::string& path);

/// Whether this key of a row is a measurement; the others name what was measured.
bool is_measurement(const std::string& key);

}  // namespace longspan
