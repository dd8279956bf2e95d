#include <cstdio>

#include "recipes/recipe_document.h"
#include "recipes/recipe_schema.h"
#include "tools/support/command.h"

namespace longspan {

namespace {

constexpr std::string_view kSchemaExample =
    "  longspan schema > recipe.schema.json\n"
    "A recipe whose first line is\n"
    "  # yaml-language-server: $schema=recipe.schema.json\n"
    "is then completed and checked by editors that know YAML.";

}  // namespace

int schema_command(int argc, char** argv) {
  cxxopts::Options options("longspan schema",
                           "Print the keys of a recipe as JSON Schema, draft 2020-12: types, "
                           "bounds, defaults, descriptions.\n");
  options.add_options()("markdown", "as docs/recipes.md instead")("h,help", "this help");
  auto parsed = parse_command_line(options, argc, argv, kSchemaExample);
  if (!parsed) return 0;
  const Json schema = recipe_schema();
  fmt::print("{}", parsed->count("markdown") ? recipe_document(schema) : json_text(schema) + "\n");
  return 0;
}

}  // namespace longspan
