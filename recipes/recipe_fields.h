#pragma once

#include "recipes/recipe.h"
#include "src/core/fields.h"

namespace longspan {

/// Reads the root map of a recipe; what is wrong goes to the diagnostics behind `root`.
Recipe read_recipe(Fields root);

}  // namespace longspan
