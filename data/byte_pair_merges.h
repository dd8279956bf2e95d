#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

namespace longspan {

/// The merge table of BPE (Sennrich et al. 2016): which two neighbours become one symbol, and in
/// which order.
class BytePairMerges {
 public:
  void add(int32_t left, int32_t right, int32_t rank, int32_t merged);

  /// Merges neighbours, always the pair of lowest rank and of these the leftmost, until none is
  /// left. O(n log n); short words take a quadratic scan that is quicker there.
  void apply(std::vector<int32_t>& symbols) const;

 private:
  struct Merge {
    int32_t rank, merged;
  };
  static constexpr Merge kNone{INT32_MAX, -1};

  Merge find(int32_t left, int32_t right) const;
  void apply_by_scan(std::vector<int32_t>& symbols) const;
  void apply_by_heap(std::vector<int32_t>& symbols) const;

  std::unordered_map<uint64_t, Merge> merges_;
};

}  // namespace longspan
