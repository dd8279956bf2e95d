#pragma once

#include <memory>

#include "src/model/causal_lm.h"

namespace longspan {

/// down_proj(act(gate_proj(x)) * up_proj(x)): SwiGLU, or GeGLU with DecoderOptions::gelu_tanh
/// (Shazeer 2020, arXiv 2002.05202).
class Mlp : public Module {
 public:
  explicit Mlp(const ModelConfig& config);

  /// x [B, T, C] -> act(gate_proj(x)) * up_proj(x) [B, T, I], which down_proj() takes to [B, T, C].
  at::Tensor gated(const at::Tensor& x) const;
  const Linear& down_proj() const { return *down_proj_; }
  /// Whether no projection is trained whole: chunks of tokens sum their gradients exactly then.
  bool is_frozen() const;
  void visit_parameters(const std::string& prefix, const ParameterVisitor& visit) override;
  void visit_linears(const std::string& prefix, const CausalLm::LinearVisitor& visit);

 private:
  std::unique_ptr<Linear> gate_up_proj_, gate_proj_, up_proj_, down_proj_;  // the first, or the two
  bool gelu_tanh_;
};

}  // namespace longspan
