#include "src/nn/lora_linear.h"

#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/zeros.h>

#include <cmath>

namespace longspan {

double LoraOptions::scale() const {
  double rank = static_cast<double>(r);
  return lora_alpha / (use_rslora ? std::sqrt(rank) : rank);
}

LoraLinear::LoraLinear(Linear& base, const LoraOptions& options)
    : Linear(base.in_features(), base.out_features(), false), scale_(options.scale()) {
  weight = base.weight;
  bias = base.bias;
  // Kaiming uniform with a = sqrt(5): gain sqrt(2 / (1 + 5)), bound gain sqrt(3 / fan_in). Drawn in
  // float32, so that the start does not depend on the dtype.
  double bound = 1.0 / std::sqrt(static_cast<double>(in_features_));
  lora_A = at::empty({options.r, in_features_}, at::kFloat)
               .uniform_(-bound, bound)
               .to(weight.scalar_type());
  lora_B = at::zeros({out_features_, options.r}, weight.options());
}

at::Tensor LoraLinear::forward(const at::Tensor& x) const {
  at::Tensor y = Linear::forward(x);
  at::Tensor reduced = at::linear(x, lora_A).view({-1, lora_A.size(0)});
  y.view({-1, out_features_}).addmm_(reduced, lora_B.t(), /*beta=*/1, /*alpha=*/scale_);
  return y;
}

at::Tensor LoraLinear::merged_weight() const {
  return at::addmm(weight.to(at::kFloat), lora_B.to(at::kFloat), lora_A.to(at::kFloat), 1, scale_)
      .to(weight.scalar_type());
}

void LoraLinear::visit_parameters(const std::string& prefix, const ParameterVisitor& visit) {
  Linear::visit_parameters(prefix, visit);
  visit(prefix + "lora_A.weight", lora_A);
  visit(prefix + "lora_B.weight", lora_B);
}

}  // namespace longspan
