#pragma once

#include <string>

#include "recipes/recipe.h"
#include "src/core/fields.h"

namespace longspan {

/// Reads the root map of a recipe; what is wrong goes to the diagnostics behind `root`.
Recipe read_recipe(Fields root);

/// Where `rope` is a text instead of a map: puts the content of the JSON file of that path in its
/// place (see longspan longrope-search). One that cannot be read is an error, and `rope` null then.
void read_rope_file(Json& rope, const std::string& key_path, Diagnostics& diagnostics);

}  // namespace longspan
