#pragma once

#include <algorithm>
#include <cmath>
#include <regex>
#include <string>

#include "src/core/json.h"

namespace longspan {

/// Whether a value suits a JSON Schema: the keywords of draft 2020-12 that recipe_schema() uses.
/// Any other one is a failure of the test.
class JsonSchema {
 public:
  explicit JsonSchema(Json root) : root_(std::move(root)) {}

  bool accepts(const Json& value) const { return accepts(root_, value); }

 private:
  bool accepts(const Json& schema, const Json& value) const {
    for (const auto& [keyword, says] : schema.items()) {
      if (!holds(schema, keyword, says, value)) return false;
    }
    return true;
  }

  int accepting(const Json& schemas, const Json& value) const {
    return static_cast<int>(std::count_if(schemas.begin(), schemas.end(), [&](const Json& schema) {
      return accepts(schema, value);
    }));
  }

  bool holds(const Json& schema, const std::string& keyword, const Json& says,
             const Json& value) const {
    if (keyword == "type") return is(says.get<std::string>(), value);
    if (keyword == "enum") return std::count(says.begin(), says.end(), value) > 0;
    if (keyword == "const") return value == says;
    if (keyword == "minimum") return !value.is_number() || value >= says;
    if (keyword == "maximum") return !value.is_number() || value <= says;
    if (keyword == "exclusiveMinimum") return !value.is_number() || value > says;
    if (keyword == "exclusiveMaximum") return !value.is_number() || value < says;
    if (keyword == "minLength")
      return !value.is_string() || value.get<std::string>().size() >= says.get<size_t>();
    if (keyword == "pattern") {
      return !value.is_string() ||
             std::regex_search(value.get<std::string>(), std::regex(says.get<std::string>()));
    }
    if (keyword == "minItems") return !value.is_array() || value.size() >= says.get<size_t>();
    if (keyword == "maxItems") return !value.is_array() || value.size() <= says.get<size_t>();
    if (keyword == "items") {
      return !value.is_array() || accepting_items(says, value) == value.size();
    }
    if (keyword == "required") {
      return !value.is_object() || std::all_of(says.begin(), says.end(), [&](const Json& key) {
        return value.contains(key.get<std::string>());
      });
    }
    if (keyword == "properties") return properties_hold(says, value);
    if (keyword == "additionalProperties") {
      return others_hold(schema.value("properties", Json::object()), says, value);
    }
    if (keyword == "oneOf") return accepting(says, value) == 1;
    if (keyword == "anyOf") return accepting(says, value) > 0;
    if (keyword == "not") return !accepts(says, value);
    if (keyword == "if") return accepts(schema[accepts(says, value) ? "then" : "else"], value);
    if (keyword == "$ref") {
      return accepts(root_.at(Json::json_pointer(says.get<std::string>().substr(1))), value);
    }
    for (const char* annotation :
         {"$schema", "title", "description", "default", "$comment", "then", "else"}) {
      if (keyword == annotation) return true;
    }
    throw std::logic_error("the keyword " + keyword + " is not known here");
  }

  static bool is(const std::string& type, const Json& value) {
    if (type == "object") return value.is_object();
    if (type == "array") return value.is_array();
    if (type == "string") return value.is_string();
    if (type == "boolean") return value.is_boolean();
    if (type == "number") return value.is_number();
    if (type == "integer") {
      return value.is_number() && value.get<double>() == std::floor(value.get<double>());
    }
    throw std::logic_error("the type " + type + " is not known here");
  }

  size_t accepting_items(const Json& schema, const Json& list) const {
    return static_cast<size_t>(std::count_if(
        list.begin(), list.end(), [&](const Json& item) { return accepts(schema, item); }));
  }

  bool properties_hold(const Json& properties, const Json& value) const {
    for (const auto& [key, schema] : properties.items()) {
      if (value.is_object() && value.contains(key) && !accepts(schema, value[key])) return false;
    }
    return true;
  }

  bool others_hold(const Json& properties, const Json& says, const Json& value) const {
    if (!value.is_object()) return true;
    for (const auto& [key, entry] : value.items()) {
      if (properties.contains(key)) continue;
      if (says == false || !accepts(says, entry)) return false;
    }
    return true;
  }

  Json root_;
};

}  // namespace longspan
