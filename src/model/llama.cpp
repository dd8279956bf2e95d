#include "src/model/llama.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/silu.h>

#include "src/nn/recompute.h"

namespace longspan {

// B batch, T time, C hidden_size, H query heads, Hkv key/value heads, D head_dim.
struct LlamaForCausalLm::Layer {
  explicit Layer(const ModelConfig& c)
      : input_layernorm(c.hidden_size, c.rms_norm_eps),
        post_attention_layernorm(c.hidden_size, c.rms_norm_eps),
        head_dim(c.head_dim) {
    int64_t query_size = c.num_attention_heads * c.head_dim;
    int64_t key_value_size = c.num_key_value_heads * c.head_dim;
    auto linear = [](int64_t in, int64_t out, bool bias) {
      return std::make_unique<Linear>(in, out, bias);
    };
    q_proj = linear(c.hidden_size, query_size, c.attention_bias);
    k_proj = linear(c.hidden_size, key_value_size, c.attention_bias);
    v_proj = linear(c.hidden_size, key_value_size, c.attention_bias);
    o_proj = linear(query_size, c.hidden_size, c.attention_bias);
    gate_proj = linear(c.hidden_size, c.intermediate_size, c.mlp_bias);
    up_proj = linear(c.hidden_size, c.intermediate_size, c.mlp_bias);
    down_proj = linear(c.intermediate_size, c.hidden_size, c.mlp_bias);
  }

  at::Tensor forward(const at::Tensor& x, const AttentionPattern& pattern,
                     const AttentionContext& context) const {
    at::Tensor residual = x + self_attention(input_layernorm.forward(x), pattern, context);
    return residual + mlp(post_attention_layernorm.forward(residual));
  }

  at::Tensor self_attention(const at::Tensor& x, const AttentionPattern& pattern,
                            const AttentionContext& context) const {
    auto heads_of = [&](const Linear& projection) {  // [B, T, C] -> [B, heads, T, D]
      return projection.forward(x).unflatten(-1, {-1, head_dim}).transpose(1, 2);
    };
    Heads heads{heads_of(*q_proj), heads_of(*k_proj), heads_of(*v_proj)};
    at::Tensor attended = pattern.attend(heads, context);         // [B, H, T, D]
    return o_proj->forward(attended.transpose(1, 2).flatten(2));  // [B, T, C]
  }

  at::Tensor mlp(const at::Tensor& x) const {
    return down_proj->forward(at::silu(gate_proj->forward(x)) * up_proj->forward(x));
  }

  template <class Visit>
  void visit_projections(const Visit& visit) {
    visit("self_attn.q_proj", q_proj);
    visit("self_attn.k_proj", k_proj);
    visit("self_attn.v_proj", v_proj);
    visit("self_attn.o_proj", o_proj);
    visit("mlp.gate_proj", gate_proj);
    visit("mlp.up_proj", up_proj);
    visit("mlp.down_proj", down_proj);
  }

  RmsNorm input_layernorm;
  std::unique_ptr<Linear> q_proj, k_proj, v_proj, o_proj;
  RmsNorm post_attention_layernorm;
  std::unique_ptr<Linear> gate_proj, up_proj, down_proj;
  int64_t head_dim;
};

LlamaForCausalLm::LlamaForCausalLm(ModelConfig config)
    : CausalLm(std::move(config)),
      embed_tokens_(unloaded_parameter({config_.vocab_size, config_.hidden_size})),
      norm_(config_.hidden_size, config_.rms_norm_eps) {
  for (int64_t i = 0; i < config_.num_hidden_layers; ++i) {
    layers_.push_back(std::make_unique<Layer>(config_));
  }
  if (!config_.tie_word_embeddings) {
    lm_head_ = unloaded_parameter({config_.vocab_size, config_.hidden_size});
  }
}

LlamaForCausalLm::~LlamaForCausalLm() = default;

at::Tensor LlamaForCausalLm::hidden_states(const ModelInput& input, ModelState* state) {
  int64_t seq_len = input.input_ids.size(1), past = state ? state->length() : 0;
  at::Tensor positions = input.position_ids;
  if (!positions.defined()) positions = at::arange(past, past + seq_len, at::kLong).unsqueeze(0);
  if (state && state->layers.empty()) state->layers.resize(layers_.size());

  auto rotary = std::make_shared<Rotary>(
      config_.rope_scaling->frequencies(config_.rope_geometry(), past + seq_len), positions,
      dtype());
  at::Tensor x = at::embedding(embed_tokens_, input.input_ids);  // [B, T, C]
  for (size_t i = 0; i < layers_.size(); ++i) {
    // Backward may call this once more: it owns what it needs.
    auto run = [layer = layers_[i].get(), pattern = attention_, rotary,
                documents = input.document_ids,
                cache = state ? &state->layers[i] : nullptr](const at::Tensor& hidden) {
      return layer->forward(hidden, *pattern, {*rotary, documents, cache});
    };
    x = recompute_ && !state ? recompute(run, x) : run(x);
  }
  return norm_.forward(x);
}

const at::Tensor& LlamaForCausalLm::lm_head_weight() const {
  return lm_head_.defined() ? lm_head_ : embed_tokens_;
}

void LlamaForCausalLm::visit_parameters(const std::string& prefix, const ParameterVisitor& visit) {
  visit(prefix + "model.embed_tokens.weight", embed_tokens_);
  for (size_t i = 0; i < layers_.size(); ++i) {
    std::string layer = fmt::format("{}model.layers.{}.", prefix, i);
    layers_[i]->visit_projections([&](const char* name, std::unique_ptr<Linear>& linear) {
      linear->visit_parameters(layer + name + ".", visit);
    });
    layers_[i]->input_layernorm.visit_parameters(layer + "input_layernorm.", visit);
    layers_[i]->post_attention_layernorm.visit_parameters(layer + "post_attention_layernorm.",
                                                          visit);
  }
  norm_.visit_parameters(prefix + "model.norm.", visit);
  if (lm_head_.defined()) visit(prefix + "lm_head.weight", lm_head_);
}

void LlamaForCausalLm::visit_linears(const LinearVisitor& visit) {
  for (size_t i = 0; i < layers_.size(); ++i) {
    layers_[i]->visit_projections([&](const char* name, std::unique_ptr<Linear>& linear) {
      visit(fmt::format("model.layers.{}.{}", i, name), linear);
    });
  }
}

}  // namespace longspan
