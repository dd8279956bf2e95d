#pragma once

#include <filesystem>

#include "checkpoints/model_source.h"
#include "src/model/causal_lm.h"

namespace longspan {

/// What decides the keys and values that a model remembers: its weights, RoPE, attention and dtype.
Json memory_identity(const ModelSource& source, const CausalLm& model);

/// Writes what a model has read under focused memory as safetensors, with `identity` and a SHA-256
/// of its tensors. The file appears whole or not at all. `state` holds at least a token.
void save_memory(const std::filesystem::path& path, const ModelState& state, const Json& identity);

/// Reads it back; windows that are memory stay in the file, which is mapped. Throws
/// Error(kCheckpoint) where the memory is that of another model, RoPE, attention or dtype, and says
/// which; where the file is damaged or none of ours.
ModelState load_memory(const std::filesystem::path& path, const CausalLm& model,
                       const Json& identity);

}  // namespace longspan
