#include "data/store/context_buckets.h"

#include <algorithm>

namespace longspan {

std::vector<int64_t> places_by_context(const std::vector<PackedSequence>& rows) {
  std::vector<int64_t> counts;
  for (const PackedSequence& row : rows) {
    for (const Piece& piece : row.pieces) {
      for (int64_t first = 1, bucket = 0; first <= piece.places(); first *= 2, ++bucket) {
        if (bucket == std::ssize(counts)) counts.push_back(0);
        counts[static_cast<size_t>(bucket)] += std::min(piece.places(), 2 * first - 1) - first + 1;
      }
    }
  }
  return counts;
}

}  // namespace longspan
