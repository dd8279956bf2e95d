#include "trainer/eval/logit_comparison.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/tensor.h>

#include <algorithm>

namespace longspan {

LogitDifference compare_logits(const at::Tensor& reference, const at::Tensor& other) {
  at::NoGradGuard no_gradients;
  at::Tensor a = reference.to(at::kDouble), b = other.to(at::kDouble);
  at::Tensor difference = b - a;
  at::Tensor log_p = at::log_softmax(a, -1), log_q = at::log_softmax(b, -1);
  at::Tensor kl = (log_p.exp() * (log_p - log_q)).sum(-1);  // [N]
  LogitDifference result;
  result.max_abs = difference.abs().max().item<double>();
  result.relative = difference.norm().item<double>() / a.norm().item<double>();
  result.argmax_agreement =
      (at::argmax(a, -1) == at::argmax(b, -1)).to(at::kDouble).mean().item<double>();
  // Rounding leaves a sum that should be 0 a little below. NaN stays.
  result.kl = kl.mean().clamp_min(0).item<double>();
  result.largest_kl = kl.max().clamp_min(0).item<double>();
  return result;
}

at::Tensor last_logits(CausalLm& model, const std::vector<int64_t>& ids, int64_t count) {
  at::NoGradGuard no_gradients;
  auto length = static_cast<int64_t>(ids.size());
  count = std::min(count, length);
  at::Tensor hidden = model.hidden_states({at::tensor(ids, at::kLong).unsqueeze(0), {}, {}});
  at::Tensor last = hidden.squeeze(0).narrow(0, length - count, count);
  return at::linear(last, model.lm_head_weight()).to(at::kFloat);
}

std::vector<int64_t> made_ids(int64_t count, int64_t vocab_size) {
  std::vector<int64_t> ids;
  for (int64_t i = 0; i < count; ++i) ids.push_back((7919 * i + 13) % vocab_size);
  return ids;
}

void round_weights(CausalLm& model, const TensorDtypes& dtypes) {
  at::NoGradGuard no_gradients;
  model.visit_linears([](const std::string&, std::unique_ptr<Linear>& linear) {
    auto plain = std::make_unique<Linear>(linear->in_features(), linear->out_features(),
                                          linear->bias.defined());
    plain->weight = linear->merged_weight();
    plain->bias = linear->bias;
    linear = std::move(plain);
  });
  model.visit_parameters("", [&](const std::string& name, at::Tensor& parameter) {
    auto found = dtypes.find(name);
    if (found == dtypes.end()) return;
    parameter = parameter.detach().to(found->second).to(parameter.scalar_type());
  });
}

}  // namespace longspan
