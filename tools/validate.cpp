#include <cstdio>

#include "src/core/text.h"
#include "tools/recipe_arguments.h"

namespace longspan {

namespace {

constexpr std::string_view kExample =
    "  longspan validate recipes/smollm2-135m-32k.yaml optimizer.lr=1e-4";

}  // namespace

int validate_command(int argc, char** argv) {
  cxxopts::Options options("longspan validate",
                           "Check a recipe and its overrides without loading anything: all errors "
                           "at once, each with its place.\n");
  add_recipe_arguments(options);
  auto parsed = parse_command_line(options, argc, argv, kExample);
  if (!parsed) return 0;
  Recipe recipe = load_recipe(*parsed);
  fmt::print("{}: valid; {} steps in {} stage{}, {} tokens\n", recipe.file,
             total_steps(recipe.stages), recipe.stages.size(), recipe.stages.size() == 1 ? "" : "s",
             human_count(total_tokens(recipe.stages)));
  return 0;
}

}  // namespace longspan
