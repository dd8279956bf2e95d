#pragma once

#include <string>

#include "recipes/recipe.h"
#include "src/core/fields_io.h"

namespace longspan {

/// All keys of a recipe. Written, it is the resolved one, where `stages` say what `train`, `rope`
/// and `attention` may say for all of them.
void fields(FieldsIo& io, Recipe& recipe);

/// Reads the root map of a recipe; what is wrong goes to the diagnostics behind `root`.
Recipe read_recipe(Fields root);

/// Where `rope` is a text instead of a map: puts the content of the JSON file of that path in its
/// place (see longspan longrope-search). One that cannot be read is an error, and `rope` null then.
void read_rope_file(Json& rope, const std::string& key_path, Diagnostics& diagnostics);

}  // namespace longspan
