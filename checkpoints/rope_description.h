#pragma once

#include <string>

#include "src/model/model_config.h"

namespace longspan {

/// A model's RoPE for people: "yarn x2 over 8,192 positions, rope_theta 100,000", or "unscaled,
/// rope_theta 10,000".
std::string describe_rope(const ModelConfig& config);

}  // namespace longspan
