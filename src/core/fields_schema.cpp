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

void FieldsSchema::add(const FieldKey& key, Json schema) {
  if (!key.meaning.empty()) schema["description"] = key.meaning;
  if (!key.traits.otherwise.empty()) schema["$comment"] = key.traits.otherwise;
  schema_["properties"][std::string(key.name)] = std::move(schema);
  if (key.traits.required) schema_["required"].push_back(key.name);
}

void FieldsSchema::prose(Text text) {
  auto& all = schema_["description"].get_ref<std::string&>();
  if (!all.empty()) all += "\n\n";
  all += text;
}

void FieldsSchema::put_value(const FieldKey& key, const Json& value, const Json& schema) {
  Json described = schema;
  const bool says_default =
      !key.traits.required && key.traits.otherwise.empty() && !value.is_null();
  if (says_default) described["default"] = value;
  add(key, std::move(described));
}

void FieldsSchema::child(const FieldKey& key, const Body& body) {
  FieldsSchema map(root_);
  body(map);
  if (!key.traits.none) return add(key, map.schema_);
  const Json none = {{"const", kNoMap}};
  add(key, {{"oneOf", Json::array({map.schema_, none})}});
}

void FieldsSchema::children(const FieldKey& key, size_t size, const EntryBody& body) {
  FieldsSchema map(root_);
  body(map, size);
  add(key, {{"type", "array"}, {"items", map.schema_}});
}

void FieldsSchema::one_of(const FieldKey& key, const FieldVariants& variants) {
  if (root_->schema_["properties"].contains(key.name)) {
    return add(key, {{"$ref", fmt::format("#/properties/{}", key.name)}});
  }
  Json forms = Json::array();
  for (const auto& name : variants.names) {
    FieldsSchema form(root_);
    variants.describe(name, form);
    forms.push_back(form.schema_);
  }
  if (!variants.other_form.is_null()) forms.push_back(variants.other_form);
  add(key, {{"oneOf", forms}});
}

}  // namespace longspan
