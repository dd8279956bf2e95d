#include "data/store/context_buckets.h"

#include <algorithm>

namespace longspan {

std::vector<int64_t> places_by_context(const std::vector<PackedSequence>& rows) {
  std::vector<int64_t> counts;
  for (const PackedSequence& row : rows) {
    for (const Piece& piece : row.pieces) {
      int64_t begin = 0;
      for (size_t bucket = 0; begin < piece.places(); ++bucket) {
        const int64_t end = std::min(piece.places(), int64_t{2} << bucket);
        if (bucket == counts.size()) counts.push_back(0);
        counts[bucket] += end - begin;
        begin = end;
      }
    }
  }
  return counts;
}

}  // namespace longspan
