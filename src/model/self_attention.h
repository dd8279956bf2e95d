#pragma once

#include <memory>

#include "src/attention/attention.h"
#include "src/model/causal_lm.h"
#include "src/nn/rms_norm.h"

namespace longspan {

/// Grouped-query attention of one layer, from projection to projection.
class SelfAttention : public Module {
 public:
  explicit SelfAttention(const ModelConfig& config);

  /// Of q, k and v, or one of all three.
  std::vector<const Linear*> in_projections() const;
  /// What in_projections() make of x [B, T, C] -> the heads' outputs [B, T, H * D], which o_proj()
  /// takes to [B, T, C].
  at::Tensor attend(std::vector<at::Tensor> projected, const AttentionPattern& pattern,
                    const AttentionContext& context) const;
  const Linear& o_proj() const { return *o_proj_; }
  void visit_parameters(const std::string& prefix, const ParameterVisitor& visit) override;
  void visit_linears(const std::string& prefix, const CausalLm::LinearVisitor& visit);

 private:
  Heads heads(std::vector<at::Tensor> projected) const;

  std::unique_ptr<Linear> qkv_proj_, q_proj_, k_proj_, v_proj_, o_proj_;  // the first, or the three
  std::unique_ptr<RmsNorm> q_norm_, k_norm_;                              // both or none
  int64_t head_dim_, num_attention_heads_, num_key_value_heads_;
  double query_scale_;  // over the pattern's own 1 / sqrt(head_dim)
};

}  // namespace longspan
