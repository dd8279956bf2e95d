#include "src/nn/lora_linear.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/zeros.h>

#include <cmath>

namespace longspan {

namespace {

at::Tensor row_norms(const at::Tensor& v) { return at::linalg_vector_norm(v, 2, {1}); }

}  // namespace

LoraLinear::LoraLinear(Linear& base, const LoraOptions& options, uint64_t projection)
    : Linear(base.in_features(), base.out_features(), false), scale_(options.scale()) {
  weight = base.weight;
  bias = base.bias;
  quantized = base.quantized;
  // Kaiming uniform with a = sqrt(5): gain sqrt(2 / (1 + 5)), bound gain sqrt(3 / fan_in). Drawn in
  // float32, so that the start does not depend on the dtype.
  double bound = 1.0 / std::sqrt(static_cast<double>(in_features_));
  lora_A = at::empty({options.r, in_features_}, at::kFloat).uniform_(-bound, bound).to(dtype());
  lora_B = at::zeros({out_features_, options.r}, dtype());
  if (options.use_dora) {
    lora_magnitude_vector = row_norms(dense_weight().to(at::kFloat)).to(dtype());
  }
  if (options.lora_dropout > 0) dropout_.emplace(options.lora_dropout, projection);
}

bool LoraLinear::is_frozen() const {
  return Linear::is_frozen() && !lora_magnitude_vector.defined();
}

at::Tensor LoraLinear::forward(const at::Tensor& x) const {
  if (is_frozen()) return project(x, {this})[0];
  // A clone of a quantised one: autograd keeps it, and the scratch is written again.
  const at::Tensor dense = quantized ? dense_weight().clone() : weight;
  const bool is_dora = lora_magnitude_vector.defined();
  const at::Tensor input = dropped(x);
  at::Tensor y = at::linear(is_dora ? input : x, dense);
  at::Tensor reduced = at::linear(input, lora_A).view({-1, lora_A.size(0)});
  y.view({-1, out_features_}).addmm_(reduced, lora_B.t(), /*beta=*/1, /*alpha=*/scale_);
  if (is_dora) {
    at::Tensor norms;
    {
      at::NoGradGuard constant;
      norms = row_norms(lora_weight(dense, lora_A, lora_B, {}, scale_)).to(y.scalar_type());
    }
    y = y * (lora_magnitude_vector / norms);
    if (!input.is_same(x)) y = y + at::linear(x - input, dense);
  }
  return bias.defined() ? y + bias : y;
}

at::Tensor LoraLinear::dropped(const at::Tensor& x) const {
  const auto place = dropout_ ? dropout_place(x) : std::nullopt;
  return place ? dropout_->apply(x, *place) : x;
}

at::Tensor LoraLinear::merged_weight() const {
  return lora_weight(dense_weight(), lora_A, lora_B, lora_magnitude_vector, scale_).to(dtype());
}

void LoraLinear::visit_parameters(const std::string& prefix, const ParameterVisitor& visit) {
  Linear::visit_parameters(prefix, visit);
  visit(prefix + "lora_A.weight", lora_A);
  visit(prefix + "lora_B.weight", lora_B);
  if (lora_magnitude_vector.defined()) {
    visit(prefix + "lora_magnitude_vector", lora_magnitude_vector);
  }
}

at::Tensor lora_weight(const at::Tensor& weight, const at::Tensor& a, const at::Tensor& b,
                       const at::Tensor& magnitude, double scale) {
  at::Tensor v =
      at::addmm(weight.to(at::kFloat), b.to(at::kFloat), a.to(at::kFloat), /*beta=*/1, scale);
  if (!magnitude.defined()) return v;
  return v * (magnitude.to(at::kFloat) / row_norms(v)).unsqueeze(1);
}

}  // namespace longspan
