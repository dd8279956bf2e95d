#pragma once

#include "src/core/fields.h"
#include "src/core/fields_io.h"
#include "src/core/json.h"

namespace longspan {

/// What the keys of a map set: an attention pattern, a RoPE scaling, a task or an arm of eval.
class Keyed {
 public:
  virtual ~Keyed() = default;
  /// Its own keys, each named once, with its bounds and what it means.
  virtual void fields(FieldsIo& io) = 0;
  void read(Fields& map);
  /// The keys that read() reads, with values.
  Json write() const;
};

}  // namespace longspan
