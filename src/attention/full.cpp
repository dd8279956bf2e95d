#include "src/attention/full.h"

#include "src/attention/kernels/interval_attention.h"
#include "src/attention/key_starts.h"

namespace longspan {

at::Tensor FullAttention::attend(const Heads& heads, const AttentionContext& context) const {
  at::Tensor q = context.rotary.rotate(heads.q);
  auto [k, v] = context.with_past(context.rotary.rotate(heads.k), heads.v);
  const at::Tensor starts = key_starts(context, q.size(0), q.size(2));
  return interval_attention(q, k, v, {of_each_head(starts, q.size(1))}, context.kept);
}

}  // namespace longspan
