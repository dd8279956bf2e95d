#pragma once

#include <memory>

#include "checkpoints/adapters/peft_adapter.h"

namespace longspan {

/// Base + adapter as one model: each tensor is W + scale B A in float32 (see lora_weight), the
/// saved module, or the base's. `base` and `adapter` must outlive it; config_json() is
/// adapted_config's. The tokenizer is the base's; that of the adapter's folder where it saves more
/// embeddings, which are those of added tokens. Tensors that fit nowhere throw Error(kModel).
std::unique_ptr<ModelSource> merged_source(const ModelSource& base, const PeftAdapter& adapter);

}  // namespace longspan
