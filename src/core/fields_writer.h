#pragma once

#include "src/core/fields_io.h"

namespace longspan {

/// Writes options as the map that a FieldsReader reads back.
class FieldsWriter : public FieldsIo {
 public:
  const Json& map_written() const { return map_; }

  bool writing() const override { return true; }

 protected:
  void put_value(const FieldKey& key, const Json& value, const Json& schema) override;
  void child(const FieldKey& key, const Body& body) override;
  void children(const FieldKey& key, size_t size, const EntryBody& body) override;
  void one_of(const FieldKey& key, const FieldVariants& variants) override;

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
