#include "src/core/keyed.h"

#include "src/core/fields_reader.h"
#include "src/core/fields_writer.h"

namespace longspan {

void Keyed::read(Fields& map) {
  FieldsReader reader(map);
  fields(reader);
}

Json Keyed::write() const {
  FieldsWriter writer;
  const_cast<Keyed*>(this)->fields(writer);  // changes what it is given to read only
  return writer.map_written();
}

}  // namespace longspan
