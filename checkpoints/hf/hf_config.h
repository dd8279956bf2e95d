#pragma once

#include "checkpoints/model_source.h"
#include "src/model/model_config.h"

namespace longspan {

/// config.json <-> ModelConfig. Reads both RoPE styles (rope_theta + rope_scaling, and
/// rope_parameters) and writes both; missing, unsupported or contradictory keys throw Error(kModel)
/// that lists them all.
ModelConfig read_hf_config(const Json& config_json, const std::string& place);
ModelConfig read_hf_config(const ModelSource& source);
Json write_hf_config(const ModelConfig& config, at::ScalarType dtype);

}  // namespace longspan
