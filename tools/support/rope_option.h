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

/// The message of a recipe's key on_scaled with the option that stands for it on a command line.
std::string with_on_scaled_option(std::string message);

}  // namespace longspan
