#pragma once

#include "src/core/fields_io.h"

namespace longspan {

/// Describes a map as JSON Schema (draft 2020-12), without $schema: each key with type, bounds,
/// default and description; no other keys. What holds without a key, where that is no value, is
/// its $comment. A map of variants is a oneOf; where the root has one of that name, a $ref to it.
class FieldsSchema : public FieldsIo {
 public:
  FieldsSchema() : FieldsSchema(nullptr) {}

  const Json& schema() const { return schema_; }
  /// At least one of `keys` must be there.
  void require_one_of(const std::vector<std::string>& keys);

  void put(Key key, const Json& value, const Json& schema, Text meaning,
           const FieldTraits& traits) override;
  void prose(Text text) override;
  void variants(Key key, const FieldVariants& variants, Text meaning,
                const FieldTraits& traits) override;

 protected:
  void child(Key key, const std::function<void(FieldsIo&)>& body,
             const FieldTraits& traits) override;
  void children(Key key, size_t size, const std::function<void(FieldsIo&, size_t)>& body,
                Text meaning, const FieldTraits& traits) override;

 private:
  explicit FieldsSchema(const FieldsSchema* root);
  void add(Key key, Json schema, Text meaning, const FieldTraits& traits);

  const FieldsSchema* root_;  // this, at the root
  Json schema_;
};

}  // namespace longspan
