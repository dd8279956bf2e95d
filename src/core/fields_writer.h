#pragma once

#include "src/core/fields_io.h"

namespace longspan {

/// Writes options as the map that a FieldsReader reads back.
class FieldsWriter : public FieldsIo {
 public:
  const Json& map_written() const { return map_; }

  bool writing() const override { return true; }
  void put(Key key, const Json& value, const Json& schema, Text meaning,
           const FieldTraits& traits) override;
  void variants(Key key, const FieldVariants& variants, Text meaning,
                const FieldTraits& traits) override;

 protected:
  void child(Key key, const std::function<void(FieldsIo&)>& body,
             const FieldTraits& traits) override;
  void children(Key key, size_t size, const std::function<void(FieldsIo&, size_t)>& body,
                Text meaning, const FieldTraits& traits) override;

 private:
  Json map_ = Json::object();
};

/// The map of options that have `fields(FieldsIo&, Options&)`. By value, for what reads them may
/// write them too.
template <class Options>
Json write_fields(Options options) {
  FieldsWriter writer;
  fields(writer, options);
  return writer.map_written();
}

}  // namespace longspan
