#include "src/core/fields_io.h"

#include <limits>

namespace longspan {

namespace {

template <class T>
Json bounded(const char* type, Range<T> range) {
  return {{"type", type}, {"minimum", range.low}, {"maximum", range.high}};
}

template <class T>
void read_number(Fields& fields, std::string_view key, T& value, Range<T> range, bool required) {
  if (required && !fields.has(key)) return fields.required(key, value);
  fields.in_range(key, value, range.low, range.high);
}

template <class T>
void read_number(Fields& fields, std::string_view key, std::optional<T>& value, Range<T> range) {
  if (fields.has(key)) fields.in_range(key, value.emplace(range.low), range.low, range.high);
}

template <class T>
Json value_or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json();
}

}  // namespace

void FieldsIo::flag(Key key, bool& value, Text meaning, const FieldTraits& traits) {
  if (Fields* fields = reading()) return fields->optional(key, value);
  put(key, value, {{"type", "boolean"}}, meaning, traits);
}

void FieldsIo::whole(Key key, int64_t& value, Range<int64_t> range, Text meaning,
                     const FieldTraits& traits) {
  if (Fields* fields = reading()) return read_number(*fields, key, value, range, traits.required);
  put(key, value, bounded("integer", range), meaning, traits);
}

void FieldsIo::whole(Key key, std::optional<int64_t>& value, Range<int64_t> range, Text meaning,
                     const FieldTraits& traits) {
  if (Fields* fields = reading()) return read_number(*fields, key, value, range);
  put(key, value_or_null(value), bounded("integer", range), meaning, traits);
}

void FieldsIo::number(Key key, double& value, Range<double> range, Text meaning,
                      const FieldTraits& traits) {
  if (Fields* fields = reading()) return read_number(*fields, key, value, range, traits.required);
  put(key, value, bounded("number", range), meaning, traits);
}

void FieldsIo::number(Key key, std::optional<double>& value, Range<double> range, Text meaning,
                      const FieldTraits& traits) {
  if (Fields* fields = reading()) return read_number(*fields, key, value, range);
  put(key, value_or_null(value), bounded("number", range), meaning, traits);
}

void FieldsIo::positive(Key key, double& value, Text meaning, const FieldTraits& traits) {
  Fields* fields = reading();
  if (!fields) {
    return put(key, value, {{"type", "number"}, {"exclusiveMinimum", 0}}, meaning, traits);
  }
  fields->optional(key, value);
  if (!(value > 0) || value > std::numeric_limits<double>::max()) {
    fields->error(key, fmt::format("{} is out of range; expected more than 0", value));
  }
}

void FieldsIo::positive(Key key, std::optional<double>& value, Text meaning,
                        const FieldTraits& traits) {
  if (given(key)) return positive(key, value.emplace(1), meaning, traits);
  put(key, value_or_null(value), {{"type", "number"}, {"exclusiveMinimum", 0}}, meaning, traits);
}

void FieldsIo::text(Key key, std::string& value, Text meaning, const FieldTraits& traits) {
  Fields* fields = reading();
  if (!fields) {
    Json schema = {{"type", "string"}};
    if (traits.required) schema["minLength"] = 1;
    return put(key, value, schema, meaning, traits);
  }
  if (!traits.required) return fields->optional(key, value);
  Json given;
  fields->optional(key, given);
  fields->required(key, value);
  if (given == "") fields->error(key, "is empty");
}

void FieldsIo::texts(Key key, std::vector<std::string>& value, Text meaning,
                     const FieldTraits& traits) {
  if (Fields* fields = reading()) return fields->optional(key, value);
  put(key, value, {{"type", "array"}, {"items", {{"type", "string"}}}}, meaning, traits);
}

void FieldsIo::choice(Key key, std::string& value, const std::vector<std::string>& allowed,
                      Text meaning, const FieldTraits& traits) {
  if (Fields* fields = reading()) return fields->choice(key, value, allowed);
  put(key, value, {{"enum", allowed}}, meaning, traits);
}

void FieldsIo::ignored(Key key, Text meaning) {
  given(key);
  put(key, nullptr, Json::object(), meaning, {.written = false});
}

void FieldsIo::put_value(const FieldKey&, const Json&, const Json&) {}

void FieldsIo::prose(Text) {}

void FieldsIo::require_one_of(const std::vector<std::string>&) {}

bool FieldsIo::given(Key key) {
  Fields* fields = reading();
  return fields && fields->has(key);
}

void FieldsIo::error(Key key, const std::string& message) {
  if (Fields* fields = reading()) fields->error(key, message);
}

}  // namespace longspan
