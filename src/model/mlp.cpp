#include "src/model/mlp.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/chunk.h>
#include <ATen/ops/gelu.h>

#include "src/nn/swiglu.h"

namespace longspan {

Mlp::Mlp(const ModelConfig& c) : gelu_tanh_(c.decoder.gelu_tanh) {
  auto linear = [&](int64_t in_features, int64_t out_features) {
    return std::make_unique<Linear>(in_features, out_features, c.decoder.mlp_bias);
  };
  if (c.decoder.fused_projections) {
    gate_up_proj_ = linear(c.hidden_size, 2 * c.intermediate_size);
  } else {
    gate_proj_ = linear(c.hidden_size, c.intermediate_size);
    up_proj_ = linear(c.hidden_size, c.intermediate_size);
  }
  down_proj_ = linear(c.intermediate_size, c.hidden_size);
}

at::Tensor Mlp::gated(const at::Tensor& x) const {
  auto parts = gate_up_proj_ ? at::chunk(gate_up_proj_->forward(x), 2, -1)
                             : project(x, {gate_proj_.get(), up_proj_.get()});
  return gelu_tanh_ ? at::gelu(parts[0], "tanh") * parts[1] : swiglu(parts[0], parts[1]);
}

bool Mlp::is_frozen() const {
  for (const auto* linear : {&gate_up_proj_, &gate_proj_, &up_proj_, &down_proj_}) {
    if (*linear && !(*linear)->keeps_its_weight()) return false;
  }
  return true;
}

void Mlp::visit_linears(const std::string& prefix, const CausalLm::LinearVisitor& visit) {
  if (gate_up_proj_) visit(prefix + "gate_up_proj", gate_up_proj_);
  if (gate_proj_) visit(prefix + "gate_proj", gate_proj_);
  if (up_proj_) visit(prefix + "up_proj", up_proj_);
  visit(prefix + "down_proj", down_proj_);
}

void Mlp::visit_parameters(const std::string& prefix, const ParameterVisitor& visit) {
  visit_linears(prefix, [&](const std::string& name, std::unique_ptr<Linear>& linear) {
    linear->visit_parameters(name + ".", visit);
  });
}

}  // namespace longspan
