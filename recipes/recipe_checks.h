#pragma once

#include "recipes/recipe.h"
#include "src/core/fields.h"

namespace longspan {

/// What keys of several maps of a recipe must agree on, each by itself being right. What is wrong
/// goes to the diagnostics behind `root`; `has_stages`: the recipe says them, so that errors of a
/// stage stand there.
void check_maps_together(const Recipe& recipe, bool has_stages, Fields& root);

}  // namespace longspan
