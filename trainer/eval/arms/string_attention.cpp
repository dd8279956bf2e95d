#include "trainer/eval/arms/string_attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/zeros_like.h>

#include "src/attention/kernels/merge_attention.h"
#include "src/attention/key_starts.h"

namespace longspan {

at::Tensor StringAttention::attend(const Heads& heads, const AttentionContext& context) const {
  const int64_t tokens = heads.q.size(2), end = context.first_position + tokens;
  if (context.sliding_window > 0 || end <= shift_) return FullAttention::attend(heads, context);
  const auto [k, v] = context.with_past(context.rotary.rotate(heads.k), heads.v);
  const at::Tensor positions =
      at::arange(context.first_position, end, heads.q.options().dtype(at::kLong)).unsqueeze(0);
  // The first key that is nearer than shift.
  const at::Tensor nearer = (positions + (1 - shift_)).clamp_min(0).to(at::kCPU, at::kInt);
  const at::Tensor near = of_each_head(nearer.expand({heads.q.size(0), tokens}), heads.q.size(1));
  const at::Tensor moved = (positions + (local_ - shift_)).clamp_min(0);
  return merge(partial_attention(context.rotary.rotate(heads.q), k, v, {near}),
               partial_attention(context.rotary.at(moved).rotate(heads.q), k, v,
                                 {.begin = at::zeros_like(near), .end = near}))
      .out;
}

}  // namespace longspan
