#pragma once

#include <memory>

#include "src/model/causal_lm.h"

namespace longspan {

/// down_proj(act(gate_proj(x)) * up_proj(x)): SwiGLU, or GeGLU with DecoderOptions::gelu_tanh
/// (Shazeer 2020, arXiv 2002.05202).
class Mlp : public Module {
 public:
  explicit Mlp(const ModelConfig& config);

  /// x [B, T, C] -> [B, T, C]
  at::Tensor forward(const at::Tensor& x) const;
  void visit_parameters(const std::string& prefix, const ParameterVisitor& visit) override;
  void visit_linears(const std::string& prefix, const CausalLm::LinearVisitor& visit);

 private:
  at::Tensor gated(const at::Tensor& gate, const at::Tensor& up) const;

  std::unique_ptr<Linear> gate_up_proj_, gate_proj_, up_proj_, down_proj_;  // the first, or the two
  bool gelu_tanh_;
};

}  // namespace longspan
