#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "src/model/causal_lm.h"
#include "src/nn/rms_norm.h"

namespace longspan {

/// The decoder of LLaMA (Touvron et al. 2023) and its kin: pre-norm blocks of grouped-query
/// attention and gated MLP, with the options of ModelConfig::decoder.
class Decoder : public CausalLm {
 public:
  explicit Decoder(ModelConfig config);
  ~Decoder() override;

  at::Tensor hidden_states(const ModelInput& input, ModelState* state) override;
  const at::Tensor& lm_head_weight() const override;
  void visit_parameters(const std::string& prefix, const ParameterVisitor& visit) override;
  void visit_linears(const LinearVisitor& visit) override;

 private:
  class Layer;
  struct Rotaries;

  at::Tensor embed(const at::Tensor& input_ids) const;
  Rotaries rotaries(const at::Tensor& position_ids, int64_t seq_len) const;

  at::Tensor embed_tokens_;  // [vocab_size, hidden_size]
  std::vector<std::unique_ptr<Layer>> layers_;
  RmsNorm norm_;
  at::Tensor lm_head_;  // [vocab_size, hidden_size]; undefined when tied to embed_tokens
};

/// The number of the layer in the name of a module or parameter of one:
/// "model.layers.7.self_attn.q_proj".
int64_t layer_of(std::string_view name);

}  // namespace longspan
