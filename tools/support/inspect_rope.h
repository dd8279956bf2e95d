#pragma once

#include "tools/support/command.h"

namespace longspan {

/// inspect --rope[=MAP] [--length N] [--svg FILE] [--json]: what RoPE does to each pair of
/// dimensions of the model, or what it would do with another scaling.
void add_inspect_rope_options(cxxopts::Options& options);
int inspect_rope(const cxxopts::ParseResult& parsed);

}  // namespace longspan
