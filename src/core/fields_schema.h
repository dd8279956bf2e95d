#pragma once

#include "src/core/fields_io.h"

namespace longspan {

/// Describes a map as JSON Schema (draft 2020-12), without $schema: each key with type, bounds,
/// default and description; no other keys. What holds without a key, where that is no value, is
/// its $comment. A map of variants is a oneOf; where the root has one of that name, a $ref to it. A
/// map that may be `none` is a oneOf of both.
class FieldsSchema : public FieldsIo {
 public:
  FieldsSchema() : FieldsSchema(nullptr) {}

  const Json& schema() const { return schema_; }

  void prose(Text text) override;
  void require_one_of(const std::vector<std::string>& keys) override;

 protected:
  void put_value(const FieldKey& key, const Json& value, const Json& schema) override;
  void child(const FieldKey& key, const Body& body) override;
  void children(const FieldKey& key, size_t size, const EntryBody& body) override;
  void one_of(const FieldKey& key, const FieldVariants& variants) override;

 private:
  explicit FieldsSchema(const FieldsSchema* root);
  void add(const FieldKey& key, Json schema);

  const FieldsSchema* root_;  // this, at the root
  Json schema_;
};

}  // namespace longspan
