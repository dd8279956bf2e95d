#include "src/attention/full.h"

#include "src/attention/kernels/causal_attention.h"
#include "src/attention/key_starts.h"

namespace longspan {

at::Tensor FullAttention::attend(const Heads& heads, const AttentionContext& context) const {
  at::Tensor q = context.rotary.rotate(heads.q), k = context.rotary.rotate(heads.k), v = heads.v;
  if (context.state) std::tie(k, v) = context.state->append(k, v);
  at::Tensor starts = key_starts(context, q.size(0), q.size(2), k.size(2) - q.size(2));
  at::Tensor key_start = starts.unsqueeze(1).expand({q.size(0), q.size(1), q.size(2)});
  return causal_attention(q, k, v, key_start.contiguous(), context.kept);
}

}  // namespace longspan
