#pragma once

#include <string>

#include "tools/support/arguments.h"
#include "trainer/stage.h"

namespace longspan {

/// Throws Error(kUsage) for what no model could be extended by, before one is loaded.
void check_rope_option(const Arguments& arguments);

/// What `base` becomes with the scaling that --rope and --on-scaled ask for: a map such as
/// {rope_type: yarn, factor: 2.0}, or the path of a JSON file that holds one. Throws Error(kUsage).
RopeExtension extend_rope_by_option(const ModelConfig& base, const Arguments& arguments);

}  // namespace longspan
