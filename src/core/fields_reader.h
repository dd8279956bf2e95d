#pragma once

#include "src/core/fields_io.h"

namespace longspan {

/// Reads a map into options; what is wrong goes to the diagnostics behind its Fields.
class FieldsReader : public FieldsIo {
 public:
  /// `fields` must outlive the reader; finish() is left to whoever made it.
  explicit FieldsReader(Fields& fields) : fields_(fields) {}

  Fields* reading() override { return &fields_; }
  void variants(Key key, const FieldVariants& variants, Text meaning,
                const FieldTraits& traits) override;

 protected:
  void child(Key key, const std::function<void(FieldsIo&)>& body,
             const FieldTraits& traits) override;
  void children(Key key, size_t size, const std::function<void(FieldsIo&, size_t)>& body,
                Text meaning, const FieldTraits& traits) override;

 private:
  Fields& fields_;
};

}  // namespace longspan
