#pragma once

#include <vector>

#include "src/attention/focused_memory.h"

namespace longspan {

/// What a search for `pages` pages finds of attention over all of a layer's memory, by the queries
/// of one pass.
struct SearchFound {
  int64_t layer = 0, pages = 0;
  double mass = 0;      // the part of the softmax over memory, in the mean over queries and heads
  double top_keys = 0;  // of the 16 keys that a query scores highest, the part found
  // Attention over all of memory, and over what is searched and found, of all queries of the pass
  // and of its last one alone.
  double dense_seconds = 0, search_seconds = 0;
  double token_dense_seconds = 0, token_search_seconds = 0;
};

/// Focused memory that compares a search with attention over all, when it is asked to.
class ObservedMemory : public FocusedMemoryAttention {
 public:
  using FocusedMemoryAttention::FocusedMemoryAttention;

  /// Of each pass from now on, in every memory layer and for each number of pages; the first row of
  /// the batch counts. No numbers: no longer.
  void compare(std::vector<int64_t> pages, std::vector<SearchFound>* found) {
    pages_ = std::move(pages);
    found_ = found;
  }
  at::Tensor attend(const Heads& heads, const AttentionContext& context) const override;

 private:
  void compare_searches(const Heads& heads, const AttentionContext& context,
                        FocusedMemoryState& state) const;

  std::vector<int64_t> pages_;
  std::vector<SearchFound>* found_ = nullptr;
};

}  // namespace longspan
