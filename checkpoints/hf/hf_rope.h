#pragma once

#include "src/core/diagnostics.h"
#include "src/model/model_config.h"

namespace longspan {

/// Reads RoPE from config.source, where config.json states it in one or both of two styles:
/// rope_theta and rope_scaling (transformers 4), or rope_parameters (transformers 5), which is a
/// map by layer type in families with a local RoPE. Styles that contradict each other are an error.
void read_hf_rope(ModelConfig& config, Diagnostics& diagnostics);

/// Throws Error(kModel) that says what to take when a config.json of such a model has no way to
/// state `scaling` that transformers reads: better before training than at the export.
void require_statable_rope(const ModelConfig& config, const RopeScaling& scaling);

/// Writes both styles, in place of what `json` says; of Phi-3's rope_scaling the three keys that
/// transformers 4 takes there, where they say all. See require_statable_rope.
void write_hf_rope(Json& json, const ModelConfig& config);

}  // namespace longspan
