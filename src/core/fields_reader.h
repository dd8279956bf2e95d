#pragma once

#include "src/core/fields_io.h"

namespace longspan {

/// Reads a map into options; what is wrong goes to the diagnostics behind its Fields.
class FieldsReader : public FieldsIo {
 public:
  /// `fields` must outlive the reader; finish() is left to whoever made it.
  explicit FieldsReader(Fields& fields) : fields_(fields) {}

  Fields* reading() override { return &fields_; }

 protected:
  void child(const FieldKey& key, const Body& body) override;
  void children(const FieldKey& key, size_t size, const EntryBody& body) override;
  void one_of(const FieldKey& key, const FieldVariants& variants) override;

 private:
  Fields& fields_;
};

}  // namespace longspan
