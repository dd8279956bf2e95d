#pragma once

#include "tools/support/arguments.h"
#include "tools/support/shared_options.h"

namespace longspan {

/// inspect --rope[=MAP] [--length N] [--svg FILE] [--json]: what RoPE does to each pair of
/// dimensions of the model, or what it would do with another scaling.
inline constexpr Option kInspectRopeOptions[] = {
    {"rope", "[MAP]", "",
     "the wavelengths of RoPE; with =MAP or =FILE.json those under another scaling", "RoPE"},
    {"on-scaled", "MEANING", "error", "what that means where RoPE is scaled already", "RoPE",
     scaled_meanings},
    {"length", "N", "", "tokens to look at (default: the context that the scaling reaches)",
     "RoPE"},
    {"svg", "FILE.svg", "", "draw them here", "RoPE"},
};
int inspect_rope(const Arguments& arguments);

}  // namespace longspan
