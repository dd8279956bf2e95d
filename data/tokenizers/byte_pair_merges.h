#pragma once

#include <cstddef>
#include <cstdint>
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
  struct Slot {
    uint64_t pair = kFree;
    Merge merge = kNone;
  };
  static constexpr uint64_t kFree = UINT64_MAX;  // the pair of no two ids

  Merge find(int32_t left, int32_t right) const;
  size_t slot_of(uint64_t pair) const;
  void apply_by_scan(std::vector<int32_t>& symbols) const;
  void apply_by_heap(std::vector<int32_t>& symbols) const;

  // Open addressing, at most half full: a lookup is one cache miss, of std::unordered_map two.
  std::vector<Slot> slots_ = std::vector<Slot>(64);
  size_t used_ = 0;
};

}  // namespace longspan
