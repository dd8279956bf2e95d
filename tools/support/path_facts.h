#pragma once

#include <filesystem>

#include "src/core/json.h"

namespace longspan {

/// What a file or folder is, as `inspect` shows it: {kind, path, ...} of a model (folder, hub id),
/// GGUF, safetensors file, PyTorch state dict, adapter, checkpoint, run folder or token store,
/// found out by its first bytes or the files in it. `list_tensors` adds "tensors": [{name, dtype,
/// shape}]. Throws Error(kData), Error(kModel) of a folder, or what its reader throws.
Json path_facts(const std::filesystem::path& named, bool list_tensors);

}  // namespace longspan
