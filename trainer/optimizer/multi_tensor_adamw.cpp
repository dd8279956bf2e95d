#include "trainer/optimizer/multi_tensor_adamw.h"

#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/stack.h>

namespace longspan {

void multi_tensor_adamw(const AdamWStep& step, const std::vector<AdamWOperands>& weights) {
  if (weights.empty()) return;
  std::vector<at::Tensor> given, gradients, masters, exp_avgs, exp_avg_sqs;
  std::vector<at::Tensor> rounded, rounded_from;  // parameters that are not their own master
  for (const AdamWOperands& weight : weights) {
    given.push_back(weight.gradient);
    gradients.push_back(at::empty(weight.master.sizes(), weight.master.options()));
    masters.push_back(weight.master);
    exp_avgs.push_back(weight.moments.exp_avg);
    exp_avg_sqs.push_back(weight.moments.exp_avg_sq);
    if (weight.parameter.is_alias_of(weight.master)) continue;
    rounded.push_back(weight.parameter);
    rounded_from.push_back(weight.master);
  }
  at::_foreach_copy_(gradients, given);
  at::_foreach_mul_(gradients, step.gradient_scale);
  const at::Tensor count =
      at::full({}, static_cast<double>(step.step), masters.front().options().requires_grad(false));
  const std::vector<at::Tensor> counts(masters.size(), count);
  at::_fused_adamw_(masters, gradients, exp_avgs, exp_avg_sqs, /*max_exp_avg_sqs=*/{}, counts,
                    step.lr, step.beta1, step.beta2, step.weight_decay, step.eps,
                    /*amsgrad=*/false, /*maximize=*/false);
  if (!rounded.empty()) at::_foreach_copy_(rounded, rounded_from);
}

double multi_tensor_sum_of_squares(const std::vector<at::Tensor>& gradients) {
  if (gradients.empty()) return 0;
  const std::vector<at::Tensor> norms = at::_foreach_norm(gradients, /*ord=*/2, at::kFloat);
  return at::stack(norms).to(at::kDouble).square().sum().item<double>();
}

}  // namespace longspan
