#include "src/nn/linear.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>

namespace longspan {

Linear::Linear(int64_t in_features, int64_t out_features, bool with_bias)
    : weight(unloaded_parameter({out_features, in_features})),
      in_features_(in_features),
      out_features_(out_features) {
  if (with_bias) bias = unloaded_parameter({out_features});
}

at::Tensor Linear::forward(const at::Tensor& x) const {
  return is_frozen() ? project(x, {this})[0] : at::linear(x, dense_weight(), bias);
}

at::Tensor Linear::dense_weight() const {
  if (weight.defined()) return weight;
  thread_local at::Tensor scratch;  // flat, as long as the largest weight so far
  const auto shape = quantized->sizes();
  const int64_t count = shape[0] * shape[1];
  const auto options = at::TensorOptions(quantized->device()).dtype(dtype());
  if (!scratch.defined() || scratch.numel() < count || scratch.scalar_type() != dtype() ||
      scratch.device() != quantized->device()) {
    scratch = at::empty({count}, options);
  }
  return quantized->dequantize(scratch.narrow(0, 0, count).view(shape));
}

at::ScalarType Linear::dtype() const {
  return weight.defined() ? weight.scalar_type() : quantized->dtype();
}

bool Linear::is_frozen() const { return keeps_its_weight(); }

bool Linear::keeps_its_weight() const {
  return !(weight.defined() && weight.requires_grad()) && !(bias.defined() && bias.requires_grad());
}

void Linear::visit_parameters(const std::string& prefix, const ParameterVisitor& visit) {
  if (!quantized) visit(prefix + "weight", weight);
  if (bias.defined()) visit(prefix + "bias", bias);
}

}  // namespace longspan
