#pragma once

#include <string>

#include "src/core/json.h"

namespace longspan {

/// docs/recipes.md: a section with a table for each map of `schema`, which is recipe_schema().
std::string recipe_document(const Json& schema);

}  // namespace longspan
