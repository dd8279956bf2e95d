#pragma once

#include "src/attention/full.h"

namespace longspan {

/// Dual chunk attention (An et al. 2024, arXiv 2402.17463), which needs no training. The text is in
/// chunks of `chunk` tokens, and a key stands at its place in its chunk. A query stands for keys of
///   its own chunk       at its place there;
///   the chunk before    at that place plus `chunk`, at most at `farthest`;
///   all others          at `farthest`.
class DualChunkAttention : public FullAttention {
 public:
  DualChunkAttention(int64_t chunk, int64_t farthest) : chunk_(chunk), farthest_(farthest) {}

  std::string_view name() const override { return "dual_chunk"; }
  at::Tensor attend(const Heads& heads, const AttentionContext& context) const override;

 private:
  int64_t chunk_, farthest_;
};

}  // namespace longspan
