#include "src/core/fields_reader.h"

namespace longspan {

void FieldsReader::variants(Key key, const FieldVariants& variants, Text, const FieldTraits&) {
  if (fields_.has(key)) variants.read(fields_.child(key));
}

void FieldsReader::child(Key key, const std::function<void(FieldsIo&)>& body, const FieldTraits&) {
  Fields map = fields_.child(key);
  FieldsReader reader(map);
  body(reader);
  map.finish();
}

void FieldsReader::children(Key key, size_t, const std::function<void(FieldsIo&, size_t)>& body,
                            Text, const FieldTraits&) {
  size_t i = 0;
  for (Fields& map : fields_.children(key)) {
    FieldsReader reader(map);
    body(reader, i++);
    map.finish();
  }
}

}  // namespace longspan
