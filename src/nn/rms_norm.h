#pragma once

#include <cstdint>

#include "src/nn/module.h"

namespace longspan {

/// y = weight * x / sqrt(mean(x^2) + eps) over the last dimension (Zhang and Sennrich 2019); with
/// (1 + weight) when zero_centered, as in Gemma. Arithmetic is in float32 (float64 in float64),
/// rounded once; one pass in bfloat16 and float32 on a CPU with AVX2, and on CUDA. The weight may
/// be of another dtype than x on the CPU, not on CUDA. Differentiable once.
class RmsNorm : public Module {
 public:
  RmsNorm(int64_t size, double eps, bool zero_centered = false)
      : weight(unloaded_parameter({size})), eps_(eps), zero_centered_(zero_centered) {}

  at::Tensor forward(const at::Tensor& x) const;
  void visit_parameters(const std::string& prefix, const ParameterVisitor& visit) override {
    visit(prefix + "weight", weight);
  }

  at::Tensor weight;

 private:
  double eps_;
  bool zero_centered_;
};

}  // namespace longspan
