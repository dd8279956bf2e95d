#pragma once

#include <string>

#include "tools/support/command.h"
#include "trainer/stage.h"

namespace longspan {

/// Adds --on-scaled, which says what a --rope on a scaled model means.
void add_on_scaled_option(cxxopts::Options& options);

/// Throws Error(kUsage) for what no model could be extended by, before one is loaded.
void check_rope_option(const cxxopts::ParseResult& parsed);

/// What `base` becomes with the scaling that --rope and --on-scaled ask for: a map such as
/// {rope_type: yarn, factor: 2.0}, or the path of a JSON file that holds one. Throws Error(kUsage).
RopeExtension extend_rope_by_option(const ModelConfig& base, const cxxopts::ParseResult& parsed);

}  // namespace longspan
