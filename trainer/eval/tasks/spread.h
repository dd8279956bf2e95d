#pragma once

#include <cstddef>
#include <vector>

namespace longspan {

/// The places of about `share` of `count` things, at least one, spread evenly from the first on:
/// 0, 3, 6 of ten and 0.3. A share of 1 or more is all of them.
std::vector<size_t> spread_places(size_t count, double share);

/// The places of the parts that are kept of each thing that spread_places() keeps: some of its
/// `parts` where even so few things are more than the share, else all.
std::vector<size_t> spread_parts(size_t parts, size_t count, double share);

}  // namespace longspan
