#include "src/core/fields_writer.h"

namespace longspan {

void FieldsWriter::put(Key key, const Json& value, const Json&, Text, const FieldTraits& traits) {
  if (traits.written) map_[std::string(key)] = value;
}

void FieldsWriter::variants(Key key, const FieldVariants& variants, Text, const FieldTraits&) {
  const Json map = variants.write();
  if (!map.is_null()) map_[std::string(key)] = map;
}

void FieldsWriter::child(Key key, const std::function<void(FieldsIo&)>& body,
                         const FieldTraits& traits) {
  if (!traits.written) return;
  FieldsWriter writer;
  body(writer);
  map_[std::string(key)] = writer.map_written();
}

void FieldsWriter::children(Key key, size_t size,
                            const std::function<void(FieldsIo&, size_t)>& body, Text,
                            const FieldTraits& traits) {
  if (!traits.written) return;
  Json list = Json::array();
  for (size_t i = 0; i < size; ++i) {
    FieldsWriter writer;
    body(writer, i);
    list.push_back(writer.map_written());
  }
  map_[std::string(key)] = list;
}

}  // namespace longspan
