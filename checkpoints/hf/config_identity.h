#pragma once

#include "src/core/json.h"
#include "src/model/model_config.h"

namespace longspan {

/// What of a model's config.json tells it from another model, keys sorted: without who wrote it,
/// how its weights are stored, and what is null or false, as if it were left out. RoPE stands in
/// both spellings, so that it is equal however transformers 4 or 5 saved the model.
Json config_identity(const ModelConfig& config);

}  // namespace longspan
