#pragma once

#include "src/core/json.h"

namespace longspan {

/// A recipe as JSON Schema (draft 2020-12), for editors: each key with type, bounds, default and
/// description. What holds where no value can say it is a key's $comment.
Json recipe_schema();

}  // namespace longspan
