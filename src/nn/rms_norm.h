#pragma once

#include "src/nn/module.h"

namespace longspan {

/// y = weight * x / sqrt(mean(x^2) + eps) over the last dimension (Zhang and Sennrich 2019).
class RmsNorm : public Module {
 public:
  RmsNorm(int64_t size, double eps) : weight(unloaded_parameter({size})), eps_(eps) {}

  at::Tensor forward(const at::Tensor& x) const;
  void visit_parameters(const std::string& prefix, const ParameterVisitor& visit) override {
    visit(prefix + "weight", weight);
  }

  at::Tensor weight;

 private:
  double eps_;
};

}  // namespace longspan
