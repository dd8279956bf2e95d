#include "src/attention/kernels/joint_attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "src/attention/kernels/merge_attention.h"
#include "src/simd/operators.h"

namespace longspan {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// x of the rows of the part.
at::Tensor rows_of(const KeyPart& part, const at::Tensor& x) {
  return x.narrow(0, part.first_row, part.k.size(0));
}

AttentionResult forward_over(const at::Tensor& q, const std::vector<KeyPart>& parts) {
  const at::NoGradGuard no_gradients;
  AttentionResult all = partial_attention(q, parts[0].k, parts[0].v, parts[0].visible);
  if (parts.size() == 1) return all;
  all.out = exact(all.out);
  for (size_t i = 1; i < parts.size(); ++i) {
    const KeyPart& part = parts[i];
    const AttentionResult here{rows_of(part, all.out), rows_of(part, all.log_sum_exp)};
    const AttentionResult joined =
        merge(here, partial_attention(rows_of(part, q), part.k, part.v, part.visible));
    here.out.copy_(joined.out);
    here.log_sum_exp.copy_(joined.log_sum_exp);
  }
  all.out = all.out.to(q.scalar_type());
  return all;
}

class JointAttention : public torch::autograd::Function<JointAttention> {
 public:
  /// `keys_and_values` are those of the parts, for autograd to see them.
  static at::Tensor forward(AutogradContext* context, const at::Tensor& q,
                            at::TensorList keys_and_values, const std::vector<KeyPart>* parts,
                            const AttentionResult* kept) {
    const AttentionResult result = kept ? *kept : forward_over(q, *parts);
    variable_list saved{q, result.out, result.log_sum_exp};
    saved.insert(saved.end(), keys_and_values.begin(), keys_and_values.end());
    std::vector<int64_t> first_rows;
    for (const KeyPart& part : *parts) {
      for (const at::Tensor& x : {part.visible.begin, part.visible.end, part.visible.sinks}) {
        saved.push_back(x);
      }
      first_rows.push_back(part.first_row);
    }
    context->save_for_backward(std::move(saved));
    context->saved_data["first_rows"] = first_rows;
    return result.out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& grad_outputs) {
    const variable_list saved = context->get_saved_variables();
    const std::vector<int64_t> first_rows = context->saved_data["first_rows"].toIntVector();
    const size_t count = first_rows.size();
    const at::Tensor& q = saved[0];
    const at::Tensor grad_out = with_contiguous_rows(grad_outputs[0]);
    at::Tensor grad_q = at::zeros_like(exact(q));
    variable_list gradients{at::Tensor()};
    for (size_t i = 0; i < count; ++i) {
      const auto* visible = &saved[3 + 2 * count + 3 * i];
      const KeyPart part{
          first_rows[i], saved[3 + 2 * i], saved[4 + 2 * i], {visible[0], visible[1], visible[2]}};
      const AttentionGradients grad = partial_attention_backward(
          rows_of(part, grad_out), rows_of(part, q), part.k, part.v, part.visible,
          {rows_of(part, saved[1]), rows_of(part, saved[2])});
      rows_of(part, grad_q).add_(grad.q);
      gradients.push_back(grad.k);
      gradients.push_back(grad.v);
    }
    gradients[0] = grad_q.to(q.scalar_type());
    gradients.resize(gradients.size() + 2);  // of `parts` and `kept`
    return gradients;
  }
};

}  // namespace

at::Tensor joint_attention(const at::Tensor& q, const std::vector<KeyPart>& parts,
                           AttentionResult* kept) {
  if (!at::GradMode::is_enabled()) {
    const AttentionResult result = forward_over(q, parts);
    if (kept) *kept = result;
    return result.out;
  }
  std::vector<KeyPart> operands = parts;
  variable_list keys_and_values;
  for (KeyPart& part : operands) {
    part.k = with_contiguous_rows(part.k);
    part.v = with_contiguous_rows(part.v);
    keys_and_values.push_back(part.k);
    keys_and_values.push_back(part.v);
  }
  return JointAttention::apply(with_contiguous_rows(q), at::TensorList(keys_and_values), &operands,
                               kept && kept->out.defined() ? kept : nullptr);
}

}  // namespace longspan
