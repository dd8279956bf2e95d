#include "trainer/eval/arms/dual_chunk_attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/zeros_like.h>

#include "src/attention/kernels/merge_attention.h"
#include "src/attention/key_starts.h"

namespace longspan {

at::Tensor DualChunkAttention::attend(const Heads& heads, const AttentionContext& context) const {
  const int64_t tokens = heads.q.size(2), end = context.first_position + tokens;
  // A layer whose own window is no longer than a chunk needs none.
  if (context.sliding_window > 0) return FullAttention::attend(heads, context);
  const at::Tensor positions =
      at::arange(context.first_position, end, heads.q.options().dtype(at::kLong)).unsqueeze(0);
  const at::Tensor places = positions.remainder(chunk_);
  const auto [k, v] = context.with_past(context.rotary.at(places).rotate(heads.k), heads.v);
  const auto starts_of = [&](int64_t chunks_back) {  // of the chunk so many before a query's own
    const at::Tensor starts = (positions - places - chunks_back * chunk_).clamp_min(0);
    return of_each_head(starts.to(at::kCPU, at::kInt).expand({heads.q.size(0), tokens}),
                        heads.q.size(1));
  };
  const auto attend_from = [&](const at::Tensor& query_positions, const VisibleKeys& visible) {
    return partial_attention(context.rotary.at(query_positions).rotate(heads.q), k, v, visible);
  };
  const at::Tensor own = starts_of(0);
  AttentionResult result = attend_from(places, {own});
  if (end <= chunk_) return result.out;
  const at::Tensor before = starts_of(1);
  result = merge(
      result, attend_from((places + chunk_).clamp_max(farthest_), {.begin = before, .end = own}));
  if (end <= 2 * chunk_) return result.out;
  return merge(result, attend_from(at::full_like(places, farthest_),
                                   {.begin = at::zeros_like(before), .end = before}))
      .out;
}

}  // namespace longspan
