#pragma once

#include <memory>
#include <vector>

#include "src/model/causal_lm.h"
#include "src/nn/rms_norm.h"

namespace longspan {

/// LLaMA 1, 2 and 3 (Touvron et al. 2023): pre-norm blocks of grouped-query attention and SwiGLU.
class LlamaForCausalLm : public CausalLm {
 public:
  explicit LlamaForCausalLm(ModelConfig config);
  ~LlamaForCausalLm() override;

  at::Tensor hidden_states(const ModelInput& input, ModelState* state) override;
  const at::Tensor& lm_head_weight() const override;
  void visit_parameters(const std::string& prefix, const ParameterVisitor& visit) override;
  void visit_linears(const LinearVisitor& visit) override;

 private:
  struct Layer;

  at::Tensor embed_tokens_;  // [vocab_size, hidden_size]
  std::vector<std::unique_ptr<Layer>> layers_;
  RmsNorm norm_;
  at::Tensor lm_head_;  // [vocab_size, hidden_size]; undefined when tied to embed_tokens
};

}  // namespace longspan
