#pragma once

#include "src/attention/sliding_window.h"

namespace longspan {

/// A sliding window with sinks whose state is a RollingCache: what no later token sees is dropped.
/// With `positions` "cache" tokens stand where they are in the cache, as StreamingLLM has them: the
/// sinks come right before the window, so that no distance is longer than the cache. With "text"
/// they stand where they are in the text (SlidingWindowAttention). Both are the same until the
/// cache is full.
class RollingCacheAttention : public SlidingWindowAttention {
 public:
  std::shared_ptr<LayerState> make_state(int64_t layer) const override;
  void fields(FieldsIo& io) override;
  /// Of one text a row, without gradients.
  at::Tensor attend(const Heads& heads, const AttentionContext& context) const override;
  int64_t rope_length(int64_t seq_len) const override;
  /// Of what a later token can see.
  double kept_bytes(int64_t layer, int64_t seq_len, const KeyValueForm& form) const override;

 private:
  bool stand_in_cache() const { return positions_ == "cache"; }

  std::string positions_ = "cache";
};

}  // namespace longspan
