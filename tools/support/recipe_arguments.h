#pragma once

#include "recipes/recipe.h"
#include "tools/support/command.h"

namespace longspan {

/// Adds what train, plan and validate share: RECIPE [key.path=value ...] and -h.
void add_recipe_arguments(cxxopts::Options& options);

/// Loads the recipe that the arguments name. Throws Error(kUsage) when there is none.
Recipe load_recipe(const cxxopts::ParseResult& parsed);

}  // namespace longspan
