#include "src/core/fields_schema.h"

namespace longspan {

FieldsSchema::FieldsSchema(const FieldsSchema* root)
    : root_(root ? root : this),
      schema_({{"type", "object"},
               {"description", ""},
               {"properties", Json::object()},
               {"additionalProperties", false}}) {}

void FieldsSchema::require_one_of(const std::vector<std::string>& keys) {
  for (const auto& key : keys) schema_["anyOf"].push_back({{"required", {key}}});
}

void FieldsSchema::add(Key key, Json schema, Text meaning, const FieldTraits& traits) {
  if (!meaning.empty()) schema["description"] = meaning;
  if (!traits.otherwise.empty()) schema["$comment"] = traits.otherwise;
  schema_["properties"][std::string(key)] = std::move(schema);
  if (traits.required) schema_["required"].push_back(key);
}

void FieldsSchema::put(Key key, const Json& value, const Json& schema, Text meaning,
                       const FieldTraits& traits) {
  Json described = schema;
  const bool says_default = !traits.required && traits.otherwise.empty() && !value.is_null();
  if (says_default) described["default"] = value;
  add(key, std::move(described), meaning, traits);
}

void FieldsSchema::prose(Text text) {
  auto& all = schema_["description"].get_ref<std::string&>();
  if (!all.empty()) all += "\n\n";
  all += text;
}

void FieldsSchema::variants(Key key, const FieldVariants& variants, Text meaning,
                            const FieldTraits& traits) {
  if (root_->schema_["properties"].contains(key)) {
    return add(key, {{"$ref", fmt::format("#/properties/{}", key)}}, meaning, traits);
  }
  Json forms = Json::array();
  for (const auto& name : variants.names) {
    FieldsSchema form(root_);
    variants.describe(name, form);
    forms.push_back(form.schema_);
  }
  if (!variants.other_form.is_null()) forms.push_back(variants.other_form);
  add(key, {{"oneOf", forms}}, meaning, traits);
}

void FieldsSchema::child(Key key, const std::function<void(FieldsIo&)>& body,
                         const FieldTraits& traits) {
  FieldsSchema map(root_);
  body(map);
  add(key, map.schema_, {}, traits);
}

void FieldsSchema::children(Key key, size_t size,
                            const std::function<void(FieldsIo&, size_t)>& body, Text meaning,
                            const FieldTraits& traits) {
  FieldsSchema map(root_);
  body(map, size);
  add(key, {{"type", "array"}, {"items", map.schema_}}, meaning, traits);
}

}  // namespace longspan
