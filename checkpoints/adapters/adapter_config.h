#pragma once

#include "checkpoints/adapters/peft_adapter.h"
#include "src/core/fields.h"

namespace longspan {

/// PEFT's adapter_config.json into adapter.lora and adapter.trainable_tokens. Which modules are
/// adapted adapter.tensors say; target_modules, layers_to_transform and exclude_modules must not
/// leave one of them out. A key whose effect we do not compute throws Error(kModel) that names it.
void read_adapter_config(const Json& json, const std::string& place, PeftAdapter& adapter);

/// rank_pattern and alpha_pattern of a LoraConfig, {regular expression: number}, in the order
/// given; what is wrong is an error of `fields`.
void read_lora_patterns(Fields& fields, int64_t largest_rank, LoraOptions& options);

/// The keys that every PEFT knows, and those of newer ones only where they are needed.
Json write_adapter_config(const PeftAdapter& adapter, bool saves_tied_head);

}  // namespace longspan
