#include "trainer/eval/arms/rolling_cache_attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/stack.h>

#include <algorithm>
#include <stdexcept>

#include "src/attention/kernels/merge_attention.h"
#include "src/attention/key_starts.h"
#include "trainer/eval/arms/rolling_cache.h"

namespace longspan {

namespace {

int64_t dropped_from(const LayerState* state) {
  return state ? dynamic_cast<const RollingCache&>(*state).dropped() : 0;
}

}  // namespace

std::shared_ptr<LayerState> RollingCacheAttention::make_state(int64_t) const {
  return std::make_shared<RollingCache>(sinks_, window_ - 1);
}

void RollingCacheAttention::fields(FieldsIo& io) {
  SlidingWindowAttention::fields(io);
  io.choice("positions", positions_, {"cache", "text"},
            "where tokens stand: `cache`, as StreamingLLM has them, puts sinks right before the "
            "window; `text` leaves them at the beginning");
}

/// Distances within the window are those of the text either way, so that its keys are rotated once
/// by their places there. It is the query that moves: to the sinks it is the cache's last token.
at::Tensor RollingCacheAttention::attend(const Heads& heads,
                                         const AttentionContext& context) const {
  if (context.document_ids.defined() || at::GradMode::is_enabled()) {
    throw std::logic_error("the arm sliding_window reads one text a row, without gradients");
  }
  const int64_t num_heads = heads.q.size(1), tokens = heads.q.size(2);
  const int64_t first = context.first_position, end = first + tokens;
  const at::Tensor q = context.rotary.rotate(heads.q);
  const auto [k, v] = context.with_past(context.rotary.rotate(heads.k), heads.v);

  // Places in the text, [B, T].
  const at::Tensor visible = key_starts(context, heads.q.size(0), tokens);
  const at::Tensor window =
      at::maximum(visible, at::arange(first + 1 - window_, end + 1 - window_, visible.options()));
  const at::Tensor sinks_end = window.clamp_max(sinks_);
  const at::Tensor sinks_begin = at::minimum(visible, sinks_end);
  // Places among the keys, [B, H, T]: sinks have the same.
  const at::Tensor begin = of_each_head(window - dropped_from(context.state), num_heads);
  if (sinks_ == 0) return interval_attention(q, k, v, {begin});
  const at::Tensor sinks =
      at::stack({of_each_head(sinks_begin, num_heads), of_each_head(sinks_end, num_heads)});
  if (!stand_in_cache() || end <= sinks_ + window_) {
    return interval_attention(q, k, v, {.begin = begin, .sinks = sinks});
  }
  const at::Tensor places = at::arange(first, end, heads.q.options().dtype(at::kLong))
                                .clamp_max(sinks_ + window_ - 1)
                                .unsqueeze(0);
  return merge(partial_attention(q, k, v, {begin}),
               partial_attention(context.rotary.at(places).rotate(heads.q), k.narrow(2, 0, sinks_),
                                 v.narrow(2, 0, sinks_), {.begin = sinks[0], .end = sinks[1]}))
      .out;
}

int64_t RollingCacheAttention::rope_length(int64_t seq_len) const {
  return stand_in_cache() ? std::min(seq_len, sinks_ + window_) : seq_len;
}

double RollingCacheAttention::kept_bytes(int64_t, int64_t seq_len, const KeyValueForm& form) const {
  return form.bytes(std::min(seq_len, sinks_ + window_ - 1));
}

}  // namespace longspan
