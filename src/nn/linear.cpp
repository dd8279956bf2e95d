#include "src/nn/linear.h"

#include <ATen/ops/linear.h>

namespace longspan {

Linear::Linear(int64_t in_features, int64_t out_features, bool with_bias)
    : weight(unloaded_parameter({out_features, in_features})),
      in_features_(in_features),
      out_features_(out_features) {
  if (with_bias) bias = unloaded_parameter({out_features});
}

at::Tensor Linear::forward(const at::Tensor& x) const { return at::linear(x, weight, bias); }

void Linear::visit_parameters(const std::string& prefix, const ParameterVisitor& visit) {
  visit(prefix + "weight", weight);
  if (bias.defined()) visit(prefix + "bias", bias);
}

}  // namespace longspan
