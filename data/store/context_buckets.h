#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "data/store/packer.h"

namespace longspan {

/// Tokens by how many of their document stand up to them, themselves included: 1, 2 to 3, 4 to 7,
/// 8 to 15, ...
constexpr int64_t context_bucket(int64_t tokens) {
  return std::bit_width(static_cast<uint64_t>(tokens)) - 1;
}

/// How many places of the rows are in each bucket, padding left out.
std::vector<int64_t> places_by_context(const std::vector<PackedSequence>& rows);

}  // namespace longspan
