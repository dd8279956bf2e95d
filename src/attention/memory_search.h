#pragma once

#include <memory>
#include <vector>

#include "src/attention/kernels/interval_attention.h"
#include "src/attention/memory_block.h"

namespace longspan {

/// Which pages of memory may hold the keys that queries score highest (Quest; Tang et al. 2024,
/// arXiv 2406.10774): of each page of keys it has the least and the largest number in each
/// dimension, which bound every score in the page. A value; adding makes another.
class PageIndex {
 public:
  explicit PageIndex(int64_t page_tokens) : page_tokens_(page_tokens) {}

  struct Page {
    size_t block = 0;
    int64_t begin = 0, tokens = 0;  // in the block
  };

  /// The index with the pages of one more block; keys are bounded as memory gives them back.
  PageIndex with(const MemoryBlock& block) const;
  const std::vector<Page>& pages() const { return pages_; }
  /// [B, H, T, pages]: at least q . k for every key of the page; q [B, H, T, D].
  at::Tensor bounds(const at::Tensor& q) const;
  /// [B, Hkv, min(count, pages)] int64: the pages with the largest bounds for any of the queries
  /// q [B, H, T, D] of a key/value head, ascending.
  at::Tensor find(const at::Tensor& q, int64_t count) const;

 private:
  int64_t page_tokens_;
  size_t blocks_ = 0;
  std::vector<Page> pages_;
  at::Tensor low_, high_;  // [B, Hkv, pages, D] float32
};

using MemoryBlocks = std::vector<std::shared_ptr<const MemoryBlock>>;

/// Attention of q [B, H, T, D], the queries of a pass, over the `count` pages that the index finds
/// for a key/value head, exact within these. Up to 64 queries search one by one; of more, each 64
/// search together, by the 64 up to the first of them, so that none tells those before it anything.
/// Without gradients.
AttentionResult attend_found_pages(const at::Tensor& q, const MemoryBlocks& memory,
                                   const PageIndex& index, int64_t count);

}  // namespace longspan
