#include "tools/support/recipe_arguments.h"

#include "src/core/error.h"

namespace longspan {

void add_recipe_arguments(cxxopts::Options& options) {
  options.add_options()("recipe", "recipe file", cxxopts::value<std::string>(), "FILE.yaml")(
      "overrides", "key.path=value ... in place of the recipe's",
      cxxopts::value<std::vector<std::string>>(), "KEY=VALUE...")("h,help", "this help");
  options.parse_positional({"recipe", "overrides"});
  options.positional_help("RECIPE [key.path=value ...]");
}

Recipe load_recipe(const cxxopts::ParseResult& parsed) {
  if (!parsed.count("recipe")) {
    fail(ExitCode::kUsage,
         "no RECIPE given, expected a file such as "
         "recipes/smollm2-135m-32k.yaml; see -h");
  }
  return load_recipe(parsed["recipe"].as<std::string>(), values_of(parsed, "overrides"));
}

}  // namespace longspan
