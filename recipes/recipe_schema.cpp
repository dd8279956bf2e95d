#include "recipes/recipe_schema.h"

#include "recipes/recipe_fields.h"
#include "src/core/fields_schema.h"

namespace longspan {

Json recipe_schema() {
  Recipe defaults;
  FieldsSchema schema;
  fields(schema, defaults);
  Json json = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
               {"title", "recipe of longspan"}};
  json.update(schema.schema());
  // train.steps is needed without `stages` and an error with them.
  Json& train = json["properties"]["train"];
  const Json needs_steps = {{"required", train["required"]}};
  train.erase("required");
  json["if"] = {{"required", {"stages"}}};
  json["then"] = {{"properties", {{"train", {{"not", needs_steps}}}}}};
  json["else"] = {{"required", {"train"}}, {"properties", {{"train", needs_steps}}}};
  return json;
}

}  // namespace longspan
