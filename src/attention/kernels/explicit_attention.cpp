#include "src/attention/kernels/explicit_attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "src/simd/operators.h"

namespace longspan {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Scores that exist at a time, and query rows: 256 MiB in float32.
constexpr int64_t kBlockScores = int64_t{1} << 26;
constexpr int64_t kBlockRows = 512;

/// [B, H, rows, x] -> [B, Hkv, H / Hkv * rows, x]: all query heads of a key/value head as its rows.
at::Tensor by_key_head(const at::Tensor& x, int64_t key_heads) {
  return x.unflatten(1, {key_heads, -1}).flatten(2, 3);
}

/// x [B, H, rows, n] times m [B, Hkv, n, p] -> [B, H, rows, p].
at::Tensor product(const at::Tensor& x, const at::Tensor& m) {
  return at::matmul(by_key_head(x, m.size(1)), m).unflatten(2, {-1, x.size(2)}).flatten(1, 2);
}

/// The sum over the query heads of each key/value head of x^T y: x [B, H, rows, n] and
/// y [B, H, rows, p] -> [B, Hkv, n, p].
at::Tensor product_over_rows(const at::Tensor& x, const at::Tensor& y, int64_t key_heads) {
  return at::matmul(by_key_head(x, key_heads).transpose(2, 3), by_key_head(y, key_heads));
}

struct Operands {
  at::Tensor q, k, v;  // in the dtype of the arithmetic
  at::Tensor keys;     // 0 .. Tk - 1
  VisibleKeys visible;
  double scale;

  Operands(const at::Tensor& queries, const at::Tensor& all_keys, const at::Tensor& values,
           const VisibleKeys& seen)
      : q(exact(queries)),
        k(exact(all_keys)),
        v(exact(values)),
        keys(at::arange(k.size(2), q.options().dtype(at::kInt))),
        visible{placed(seen.begin), {}, {}},
        scale(1.0 / std::sqrt(static_cast<double>(q.size(3)))) {
    const int64_t queries_in_all = q.size(2), first = k.size(2) - queries_in_all + 1;
    visible.end = seen.end.defined() ? placed(seen.end)
                                     : at::arange(first, first + queries_in_all, keys.options());
    if (seen.sinks.defined()) visible.sinks = placed(seen.sinks);
  }

  /// Where q is, without a wait for what a GPU was told to do.
  at::Tensor placed(const at::Tensor& x) const {
    return x.to(q.device(), x.scalar_type(), /*non_blocking=*/true);
  }

  /// Scores of some rows [B, H, rows, Tk]; -infinity for what a query does not see.
  at::Tensor scores(int64_t row, int64_t rows) const {
    const auto part = [&](const at::Tensor& x) { return x.narrow(-1, row, rows).unsqueeze(-1); };
    at::Tensor seen = keys.ge(part(visible.begin)).logical_and_(keys.lt(part(visible.end)));
    if (visible.sinks.defined()) {
      const at::Tensor sinks = part(visible.sinks);
      seen.logical_or_(keys.ge(sinks[0]).logical_and_(keys.lt(sinks[1])));
    }
    return product(q.narrow(2, row, rows), k.transpose(2, 3))
        .mul_(scale)
        .masked_fill_(seen.logical_not_(), -kInfinity);
  }
};

/// exp(scores - log_sum_exp), 0 in a row that sees nothing.
at::Tensor weights(const at::Tensor& scores, const at::Tensor& log_sum_exp) {
  const at::Tensor shift = log_sum_exp.masked_fill(log_sum_exp.eq(-kInfinity), 0);
  return (scores - shift.unsqueeze(-1)).exp_();
}

template <class Work>
void each_block_of_rows(const at::Tensor& q, const at::Tensor& k, const Work& work) {
  const int64_t scores = std::max<int64_t>(1, q.size(0) * q.size(1) * k.size(2));
  const int64_t most = std::clamp<int64_t>(kBlockScores / scores, 1, kBlockRows);
  for (int64_t row = 0; row < q.size(2); row += most) work(row, std::min(most, q.size(2) - row));
}

}  // namespace

AttentionResult explicit_forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                 const VisibleKeys& visible) {
  const Operands operands(q, k, v, visible);
  AttentionResult result{time_major_like(q),
                         at::empty(q.sizes().slice(0, 3), operands.q.options())};
  each_block_of_rows(q, k, [&](int64_t row, int64_t rows) {
    const at::Tensor scores = operands.scores(row, rows);
    const at::Tensor log_sum_exp = at::logsumexp(scores, -1);
    result.log_sum_exp.narrow(2, row, rows).copy_(log_sum_exp);
    result.out.narrow(2, row, rows).copy_(product(weights(scores, log_sum_exp), operands.v));
  });
  return result;
}

AttentionGradients explicit_backward(const at::Tensor& grad_out, const at::Tensor& grad_log_sum_exp,
                                     const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                     const VisibleKeys& visible, const AttentionResult& forward) {
  const Operands operands(q, k, v, visible);
  const int64_t key_heads = k.size(1);
  const at::Tensor grad_q = time_major_like(q);
  const at::Tensor grad_k = at::zeros_like(operands.k), grad_v = at::zeros_like(operands.v);
  each_block_of_rows(q, k, [&](int64_t row, int64_t rows) {
    const auto part = [&](const at::Tensor& x) { return exact(x.narrow(2, row, rows)); };
    const at::Tensor p = weights(operands.scores(row, rows), part(forward.log_sum_exp));
    const at::Tensor grad = part(grad_out);
    at::Tensor delta = (grad * part(forward.out)).sum(-1);
    if (grad_log_sum_exp.defined()) delta -= part(grad_log_sum_exp);
    const at::Tensor grad_scores = product(grad, operands.v.transpose(2, 3))
                                       .sub_(delta.unsqueeze(-1))
                                       .mul_(p)
                                       .mul_(operands.scale);
    grad_q.narrow(2, row, rows).copy_(product(grad_scores, operands.k));
    grad_k.add_(product_over_rows(grad_scores, part(q), key_heads));
    grad_v.add_(product_over_rows(p, grad, key_heads));
  });
  return {grad_q, grad_k.to(k.scalar_type()), grad_v.to(v.scalar_type())};
}

}  // namespace longspan
