#include "src/attention/sliding_window.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/stack.h>

#include <algorithm>

#include "src/attention/kernels/interval_attention.h"
#include "src/attention/key_starts.h"

namespace longspan {

void SlidingWindowAttention::fields(FieldsIo& io) {
  constexpr int64_t kMost = int64_t{1} << 30;
  io.whole("window", window_, {1, kMost}, "a token sees so many, itself included");
  io.whole("sinks", sinks_, {0, kMost}, "and so many at the beginning of its document");
}

at::Tensor SlidingWindowAttention::attend(const Heads& heads,
                                          const AttentionContext& context) const {
  at::Tensor q = context.rotary.rotate(heads.q);
  auto [k, v] = context.with_past(context.rotary.rotate(heads.k), heads.v);
  int64_t rows = q.size(0), num_heads = q.size(1), seq_len = q.size(2);
  at::Tensor visible = key_starts(context, rows, seq_len);  // [B, T]
  int64_t first = context.first_position + 1 - window_;
  at::Tensor window = at::arange(first, first + seq_len, visible.options());
  at::Tensor starts = at::maximum(visible, window);
  at::Tensor sinks;
  if (sinks_ > 0) {
    AttentionContext document = context;
    document.sliding_window = 0;
    at::Tensor end = key_starts(document, rows, seq_len) + sinks_;
    sinks = of_each_head(at::stack({visible, at::minimum(end, starts)}), num_heads);
  }
  return interval_attention(q, k, v, {.begin = of_each_head(starts, num_heads), .sinks = sinks},
                            context.kept);
}

int64_t SlidingWindowAttention::scored_pairs(int64_t seq_len, int64_t num_heads) const {
  // Without the window's keys, query i sees min(sinks, i + 1 - window) sinks.
  return num_heads * (pairs_within_window(seq_len, window_) +
                      pairs_within_window(std::max<int64_t>(0, seq_len - window_), sinks_));
}

}  // namespace longspan
