#pragma once

#include <string>
#include <vector>

#include "src/core/diagnostics.h"
#include "src/core/json.h"

namespace longspan {

/// Applies `key.path=value` arguments of the command line to a recipe: "rope.factor=4",
/// "stages.1.steps=2" (a number picks an entry of a list), "lora.target_modules=[q_proj, v_proj]".
/// The value is YAML. Maps on the way are made when they are missing, so that an unknown path is
/// found by whoever reads the recipe, marked "command line"; a path that goes through a scalar or
/// beyond the end of a list is an error here.
void apply_overrides(const std::vector<std::string>& overrides, Json& recipe,
                     Diagnostics& diagnostics);

}  // namespace longspan
