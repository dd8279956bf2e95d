#pragma once

#include "checkpoints/adapters/peft_adapter.h"

namespace longspan {

/// A checkpoint of a run that trained all weights (`lora: none`): config.json of the extended
/// model, whose _name_or_path is the base, and all weights in model.safetensors, so that
/// transformers loads the folder as it is. As a PeftAdapter each of its tensors is a saved module,
/// in the base's place. Whether the folder is one; a folder that an export wrote is not.
bool is_whole_model(const std::filesystem::path& folder);

/// Throws Error(kModel) naming what is damaged.
PeftAdapter read_whole_model(const std::filesystem::path& folder);

/// Writes the files into `folder`, which must exist: `adapter.tensors` are all weights.
void write_whole_model(const std::filesystem::path& folder, const PeftAdapter& adapter);

}  // namespace longspan
