#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "data/store/packer.h"

namespace longspan {

/// Of a token by how many of its document stand before it: 0 and 1, 2 to 3, 4 to 7, 8 to 15, ...
constexpr int64_t context_bucket(int64_t tokens_before) {
  return std::bit_width(static_cast<uint64_t>(tokens_before) | 1) - 1;
}

/// How many places of the rows are in each bucket, padding left out.
std::vector<int64_t> places_by_context(const std::vector<PackedSequence>& rows);

}  // namespace longspan
