#include "src/core/fields_writer.h"

namespace longspan {

void FieldsWriter::put_value(const FieldKey& key, const Json& value, const Json&) {
  if (key.traits.written) map_[std::string(key.name)] = value;
}

void FieldsWriter::child(const FieldKey& key, const Body& body) {
  if (!key.traits.written) return;
  Json& value = map_[std::string(key.name)];
  if (key.traits.none && *key.traits.none) {
    value = kNoMap;
    return;
  }
  FieldsWriter writer;
  body(writer);
  value = writer.map_written();
}

void FieldsWriter::children(const FieldKey& key, size_t size, const EntryBody& body) {
  if (!key.traits.written) return;
  Json list = Json::array();
  for (size_t i = 0; i < size; ++i) {
    FieldsWriter writer;
    body(writer, i);
    list.push_back(writer.map_written());
  }
  map_[std::string(key.name)] = list;
}

void FieldsWriter::one_of(const FieldKey& key, const FieldVariants& variants) {
  const Json map = variants.write();
  if (!map.is_null()) map_[std::string(key.name)] = map;
}

}  // namespace longspan
