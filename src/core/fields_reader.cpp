#include "src/core/fields_reader.h"

namespace longspan {

void FieldsReader::child(const FieldKey& key, const Body& body) {
  if (key.traits.none) {
    Json given;
    fields_.optional(key.name, given);
    *key.traits.none = given == kNoMap;
    if (given == kNoMap) return;
    if (given.is_string()) {
      return fields_.error(key.name,
                           fmt::format("expected a map or {}, got {}", kNoMap, json_line(given)));
    }
  }
  Fields map = fields_.child(key.name);
  FieldsReader reader(map);
  body(reader);
  map.finish();
}

void FieldsReader::children(const FieldKey& key, size_t, const EntryBody& body) {
  size_t i = 0;
  for (Fields& map : fields_.children(key.name)) {
    FieldsReader reader(map);
    body(reader, i++);
    map.finish();
  }
}

void FieldsReader::one_of(const FieldKey& key, const FieldVariants& variants) {
  if (fields_.has(key.name)) variants.read(fields_.child(key.name));
}

}  // namespace longspan
