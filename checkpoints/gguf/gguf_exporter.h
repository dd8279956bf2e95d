#pragma once

#include <filesystem>

#include "checkpoints/gguf/gguf_file_type.h"
#include "checkpoints/model_source.h"

namespace longspan {

/// Writes `source` with `config` as one GGUF that llama.cpp loads: tensors under its names and in
/// its row order, quantised as its llama-quantize does, with the keys of RoPE and tokenizer. One
/// tensor is in memory at a time. The file appears whole or not at all; interrupted, it goes on
/// behind the last tensor that is safely on disk (see ResumableFile). The disk space of what is
/// still to be written is checked first. What llama.cpp cannot compute, and NaN or infinite
/// weights, throw Error(kModel).
void export_gguf(const ModelSource& source, const ModelConfig& config,
                 const std::filesystem::path& path, const GgufFileType& file_type);

/// F32, F16 or BF16, as most of the source's weights are; BF16 for quantised ones.
const GgufFileType& gguf_file_type_of(const ModelSource& source);

}  // namespace longspan
