#include "src/nn/lora_linear.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/zeros.h>

#include <cmath>

#include "src/nn/scaled_outputs.h"
#include "src/nn/token_chunks.h"

namespace longspan {

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
  if (options.use_dora) lora_magnitude_vector = lora_row_norms(dense_weight(), {}, {}, 0);
  if (options.lora_dropout > 0) dropout_.emplace(options.lora_dropout, projection);
}

std::optional<LowRank> LoraLinear::low_rank() const {
  const bool drops_here = lora_magnitude_vector.defined();  // forward does, for W too
  return LowRank{lora_A, lora_B, scale_, dropout_ && !drops_here ? &*dropout_ : nullptr};
}

bool LoraLinear::is_frozen() const {
  return keeps_its_weight() && !lora_magnitude_vector.defined();
}

at::Tensor LoraLinear::forward(const at::Tensor& x) const {
  if (is_frozen()) return project(x, {this})[0];
  const bool is_dora = lora_magnitude_vector.defined();
  const bool trains_weight = weight.defined() && weight.requires_grad();
  const at::Tensor input = dropped(x);
  at::Tensor y;
  if (trains_weight) {
    y = at::linear(is_dora ? input : x, weight);
    at::Tensor reduced = at::linear(input, lora_A).view({-1, lora_A.size(0)});
    y.view({-1, out_features_}).addmm_(reduced, lora_B.t(), /*beta=*/1, /*alpha=*/scale_);
  } else {
    y = project_frozen(is_dora ? input : x, {this}, /*with_bias=*/false)[0];
  }
  if (is_dora) {
    y = scaled_outputs(y, lora_magnitude_vector,
                       lora_row_norms(dense_weight(), lora_A.detach(), lora_B.detach(), scale_));
    if (!input.is_same(x)) {
      const at::Tensor taken = x - input;
      y = y + (trains_weight ? at::linear(taken, weight) : project_weight(taken, *this));
    }
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
  return v * (magnitude.to(at::kFloat) / lora_row_norms(weight, a, b, scale)).unsqueeze(1);
}

at::Tensor lora_row_norms(const at::Tensor& weight, const at::Tensor& a, const at::Tensor& b,
                          double scale) {
  constexpr int64_t kRows = 256;  // that exist in float32 at a time
  at::Tensor norms = at::empty({weight.size(0)}, weight.options().dtype(at::kFloat));
  each_chunk(weight.size(0), kRows, [&](int64_t begin, int64_t count) {
    const at::Tensor rows = weight.narrow(0, begin, count);
    const at::Tensor v = b.defined() ? lora_weight(rows, a, b.narrow(0, begin, count), {}, scale)
                                     : rows.to(at::kFloat);
    norms.narrow(0, begin, count).copy_(at::linalg_vector_norm(v, 2, {1}));
  });
  return norms;
}

}  // namespace longspan
