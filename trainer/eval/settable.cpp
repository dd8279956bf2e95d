#include "trainer/eval/settable.h"

#include "src/core/fields_reader.h"
#include "src/core/fields_writer.h"

namespace longspan {

void Settable::read(Fields& map) {
  FieldsReader reader(map);
  fields(reader);
}

Json Settable::write() const {
  FieldsWriter writer;
  const_cast<Settable*>(this)->fields(writer);  // changes what it is given to read only
  return writer.map_written();
}

}  // namespace longspan
