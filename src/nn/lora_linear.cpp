#include "src/nn/lora_linear.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

#include "src/core/full_match.h"
#include "src/nn/scaled_outputs.h"
#include "src/nn/token_chunks.h"

namespace longspan {

namespace {

/// PEFT's get_pattern_key: the pattern is the whole name, or its end behind a dot. The groups are
/// numbered as there.
template <class T>
void apply_pattern(const std::vector<std::pair<std::string, T>>& patterns,
                   const std::string& module, T& value) {
  for (const auto& [pattern, own] : patterns) {
    if (full_match("(.*\\.)?(" + pattern + ")", module, "rank_pattern or alpha_pattern")) {
      value = own;
      return;
    }
  }
}

}  // namespace

bool is_target(std::string_view module, std::string_view target) {
  if (!module.ends_with(target)) return false;
  return module.size() == target.size() || module[module.size() - target.size() - 1] == '.';
}

bool is_saved(std::string_view module, std::string_view saved) { return module.ends_with(saved); }

bool LoraOptions::targets(std::string_view module) const {
  return std::any_of(target_modules.begin(), target_modules.end(),
                     [&](const auto& target) { return is_target(module, target); });
}

bool LoraOptions::saves(std::string_view module) const {
  return std::any_of(modules_to_save.begin(), modules_to_save.end(),
                     [&](const auto& saved) { return is_saved(module, saved); });
}

LoraOptions LoraOptions::for_module(const std::string& module) const {
  LoraOptions options = *this;
  apply_pattern(rank_pattern, module, options.r);
  apply_pattern(alpha_pattern, module, options.lora_alpha);
  return options;
}

double LoraOptions::scale() const {
  double rank = static_cast<double>(r);
  return lora_alpha / (use_rslora ? std::sqrt(rank) : rank);
}

LoraLinear::LoraLinear(Linear& base, const LoraOptions& options)
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
}

bool LoraLinear::is_frozen() const {
  return keeps_its_weight() && !lora_magnitude_vector.defined();
}

at::Tensor LoraLinear::forward(const at::Tensor& x) const {
  if (is_frozen()) return project(x, {this})[0];
  at::Tensor y;
  if (keeps_its_weight()) {
    y = project_frozen(x, {this}, /*with_bias=*/false)[0];
  } else {
    y = at::linear(x, weight);
    at::Tensor reduced = at::linear(x, lora_A).view({-1, lora_A.size(0)});
    y.view({-1, out_features_}).addmm_(reduced, lora_B.t(), /*beta=*/1, /*alpha=*/scale_);
  }
  if (lora_magnitude_vector.defined()) {
    y = scaled_outputs(y, lora_magnitude_vector,
                       lora_row_norms(dense_weight(), lora_A.detach(), lora_B.detach(), scale_));
  }
  return bias.defined() ? y + bias : y;
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
