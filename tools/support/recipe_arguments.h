#pragma once

#include "recipes/recipe.h"
#include "tools/support/arguments.h"

namespace longspan {

/// What train, plan and validate share.
inline constexpr Option kRecipeArguments[] = {
    {"recipe", "RECIPE", "", "recipe file, such as recipes/smollm2-135m-32k.yaml"},
    {"overrides", "[KEY=VALUE...]", "", "key.path=value in place of the recipe's"},
};

/// Loads the recipe that the arguments name.
Recipe load_recipe(const Arguments& arguments);

}  // namespace longspan
