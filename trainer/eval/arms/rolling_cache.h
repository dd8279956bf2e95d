#pragma once

#include "src/attention/key_value_cache.h"

namespace longspan {

/// Rotated keys and values of one layer's first `sinks` tokens and of its last `recent`, the
/// rolling cache of StreamingLLM (Xiao et al. 2023, arXiv 2309.17453). Up to a quarter more stay
/// until they are dropped together, since dropping moves what is kept. Without gradients: a pass is
/// not read again once it is committed.
class RollingCache : public LayerState {
 public:
  RollingCache(int64_t sinks, int64_t recent) : sinks_(sinks), recent_(recent) {}

  /// Those that were dropped included.
  int64_t length() const override { return dropped_ + cache_->length(); }
  /// The keys and values that are kept, then k and v: token t >= sinks of the text is at
  /// t - dropped().
  KeysAndValues read(int64_t first_position, const at::Tensor& k, const at::Tensor& v) override;
  void commit() override;
  std::shared_ptr<LayerState> fork() const override;
  int64_t dropped() const { return dropped_; }

 private:
  int64_t sinks_, recent_;
  int64_t dropped_ = 0;
  std::shared_ptr<KeyValueCache> cache_ = std::make_shared<KeyValueCache>();
};

}  // namespace longspan
