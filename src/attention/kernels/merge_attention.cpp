#include "src/attention/kernels/merge_attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/logaddexp.h>
#include <ATen/ops/zeros_like.h>
#include <c10/util/Exception.h>
#include <torch/csrc/autograd/custom_function.h>

#include <limits>

#include "src/simd/operators.h"

namespace longspan {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// exp(part - whole) [B, H, Tq, 1]; 0 where the part sees nothing.
at::Tensor share(const at::Tensor& part, const at::Tensor& whole) {
  const at::Tensor empty = part.eq(-std::numeric_limits<double>::infinity());
  return at::exp(part - whole).masked_fill_(empty, 0).unsqueeze(-1);
}

class MergeAttention : public torch::autograd::Function<MergeAttention> {
 public:
  static variable_list forward(AutogradContext* context, const at::Tensor& out_a,
                               const at::Tensor& lse_a, const at::Tensor& out_b,
                               const at::Tensor& lse_b) {
    const at::Tensor lse = at::logaddexp(lse_a, lse_b);
    const at::Tensor out = share(lse_a, lse) * exact(out_a);
    out.addcmul_(share(lse_b, lse), exact(out_b));
    context->set_materialize_grads(false);
    context->save_for_backward({out_a, lse_a, out_b, lse_b, lse});
    return {out.to(out_a.scalar_type()), lse};
  }

  /// With the shares a and b, dLa = a dL + a b dO . (out_a - out_b), and dLb the other way round.
  static variable_list backward(AutogradContext* context, variable_list grad_outputs) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &out_a = saved[0], &out_b = saved[2], &lse = saved[4];
    const at::Tensor a = share(saved[1], lse), b = share(saved[3], lse);
    const at::Tensor grad =
        exact(grad_outputs[0].defined() ? grad_outputs[0] : at::zeros_like(out_a));
    const at::Tensor moved = (a * b * grad * (exact(out_a) - exact(out_b))).sum(-1);
    at::Tensor grad_a = moved, grad_b = -moved;
    if (grad_outputs[1].defined()) {
      grad_a = grad_a + grad_outputs[1] * a.squeeze(-1);
      grad_b = grad_b + grad_outputs[1] * b.squeeze(-1);
    }
    return {(a * grad).to(out_a.scalar_type()), grad_a, (b * grad).to(out_b.scalar_type()), grad_b};
  }
};

}  // namespace

AttentionResult merge(const AttentionResult& a, const AttentionResult& b) {
  TORCH_CHECK(a.out.sizes() == b.out.sizes() && a.log_sum_exp.sizes() == b.log_sum_exp.sizes() &&
                  a.log_sum_exp.sizes() == a.out.sizes().slice(0, 3),
              "merge: attention of ", a.out.sizes(), " with log-sum-exp ", a.log_sum_exp.sizes(),
              " does not go with ", b.out.sizes(), " and ", b.log_sum_exp.sizes());
  const variable_list merged = MergeAttention::apply(a.out, a.log_sum_exp, b.out, b.log_sum_exp);
  return {merged[0], merged[1]};
}

}  // namespace longspan
