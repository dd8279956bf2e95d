#include <cstdio>

#include "recipes/recipe_document.h"
#include "recipes/recipe_schema.h"
#include "tools/commands/commands.h"
#include "tools/support/arguments.h"

namespace longspan {

namespace {

constexpr Option kSchemaOptions[] = {
    {"markdown", "", "", "as docs/recipes.md instead"},
};

int run_schema(const Arguments& arguments) {
  const Json schema = recipe_schema();
  fmt::print("{}",
             arguments.given("markdown") ? recipe_document(schema) : json_text(schema) + "\n");
  return 0;
}

}  // namespace

constinit const Command kSchemaCommand{
    .name = "schema",
    .summary = "the keys of a recipe, for editors",
    .description =
        "Print the keys of a recipe as JSON Schema, draft 2020-12: types, bounds, defaults, "
        "descriptions.",
    .example =
        "  longspan schema > recipe.schema.json\n"
        "A recipe whose first line is\n"
        "  # yaml-language-server: $schema=recipe.schema.json\n"
        "is then completed and checked by editors that know YAML.",
    .options = {kSchemaOptions},
    .run = run_schema,
};

}  // namespace longspan
