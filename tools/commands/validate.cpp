#include <cstdio>

#include "checkpoints/hf/hub_cache.h"
#include "recipes/idle_keys.h"
#include "recipes/recipe_plan.h"
#include "src/core/log.h"
#include "src/core/text.h"
#include "tools/commands/commands.h"
#include "tools/support/recipe_arguments.h"

namespace longspan {

namespace {

void check_against_model(const Recipe& recipe) {
  if (!look_up_model(recipe.model.path)) {
    warn_of_idle_keys(recipe, nullptr);
    log_info("{}: is not on this machine; whether the recipe suits it is not checked",
             recipe.model.path);
    return;
  }
  const ModelConfig base = read_planned_config(recipe);
  check_recipe_against_model(recipe, base, open_planned_model(recipe).get());
  warn_of_idle_keys(recipe, &base);
}

int run_validate(const Arguments& arguments) {
  Recipe recipe = load_recipe(arguments);
  check_against_model(recipe);
  fmt::print("{}: valid; {} steps in {} stage{}, {} tokens\n", recipe.file,
             total_steps(recipe.stages), recipe.stages.size(), recipe.stages.size() == 1 ? "" : "s",
             human_count(total_tokens(recipe.stages)));
  return 0;
}

}  // namespace

constinit const Command kValidateCommand{
    .name = "validate",
    .summary = "check a recipe without loading anything",
    .description =
        "Check a recipe and its overrides without loading anything: all errors at once, each with "
        "its place. Where the model is on this machine it is asked too.",
    .example = "  longspan validate recipes/smollm2-135m-32k.yaml optimizer.lr=1e-4",
    .arguments = kRecipeArguments,
    .run = run_validate,
};

}  // namespace longspan
