#include "src/model/decoder.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/scalar_tensor.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>

#include "src/model/mlp.h"
#include "src/model/self_attention.h"
#include "src/nn/chunked_projection.h"
#include "src/nn/embedding.h"

namespace longspan {

// B batch, T time, C hidden_size.
class Decoder::Layer : public Module {
 public:
  Layer(const ModelConfig& c, const LayerOptions& options)
      : options_(options),
        self_attn_(c),
        mlp_(c),
        input_layernorm_(norm(c)),
        post_attention_layernorm_(norm(c)) {
    if (!c.decoder.sandwich_norms) return;
    pre_feedforward_layernorm_ = norm(c);
    post_feedforward_layernorm_ = norm(c);
  }

  const LayerOptions& options() const { return options_; }

  /// Attention and MLP. `attend` is what the pass adds to SelfAttention: its pattern and context.
  using Attend =
      std::function<at::Tensor(const SelfAttention&, std::vector<at::Tensor>, AttentionResult*)>;
  std::vector<ResidualBlock> blocks(Attend attend, int64_t chunk_tokens) {
    ResidualBlock attention, mlp;
    mlp.chunk_tokens = mlp_.is_frozen() ? chunk_tokens : 0;
    const bool sandwich = pre_feedforward_layernorm_ != nullptr;
    Module* const between = post_attention_layernorm_.get();  // before the MLP, or after attention
    attention.trained =
        trained({&self_attn_, input_layernorm_.get(), sandwich ? between : nullptr});
    mlp.trained = trained({&mlp_, sandwich ? nullptr : between, pre_feedforward_layernorm_.get(),
                           post_feedforward_layernorm_.get()});
    auto attended = [this, attend = std::move(attend), chunk_tokens](auto& x, auto* kept) {
      return attend(self_attn_,
                    project_normed(x, *input_layernorm_, self_attn_.in_projections(), chunk_tokens),
                    kept);
    };
    if (sandwich) {
      attention.body = [this, attended = std::move(attended)](auto& x, auto* kept) {
        at::Tensor out = self_attn_.o_proj().forward(attended(x, kept));
        return post_attention_layernorm_->forward(out);
      };
      mlp.body = [this](auto& x, auto*) {
        at::Tensor gated = mlp_.gated(pre_feedforward_layernorm_->forward(x));
        return post_feedforward_layernorm_->forward(mlp_.down_proj().forward(gated));
      };
      return {attention, mlp};
    }
    attention.body = std::move(attended);
    attention.linear = &self_attn_.o_proj();
    mlp.body = [this](auto& x, auto*) { return mlp_.gated(post_attention_layernorm_->forward(x)); };
    mlp.linear = &mlp_.down_proj();
    return {attention, mlp};
  }

  void visit_linears(const std::string& prefix, const LinearVisitor& visit) {
    self_attn_.visit_linears(prefix + "self_attn.", visit);
    mlp_.visit_linears(prefix + "mlp.", visit);
  }

  void visit_parameters(const std::string& prefix, const ParameterVisitor& visit) override {
    self_attn_.visit_parameters(prefix + "self_attn.", visit);
    mlp_.visit_parameters(prefix + "mlp.", visit);
    input_layernorm_->visit_parameters(prefix + "input_layernorm.", visit);
    post_attention_layernorm_->visit_parameters(prefix + "post_attention_layernorm.", visit);
    if (!pre_feedforward_layernorm_) return;
    pre_feedforward_layernorm_->visit_parameters(prefix + "pre_feedforward_layernorm.", visit);
    post_feedforward_layernorm_->visit_parameters(prefix + "post_feedforward_layernorm.", visit);
  }

 private:
  /// Of the modules that there are.
  static std::vector<at::Tensor> trained(std::initializer_list<Module*> modules) {
    std::vector<at::Tensor> parameters;
    for (Module* module : modules) {
      if (module == nullptr) continue;
      module->visit_parameters("", [&](const std::string&, at::Tensor& parameter) {
        if (parameter.requires_grad()) parameters.push_back(parameter);
      });
    }
    return parameters;
  }

  static std::unique_ptr<RmsNorm> norm(const ModelConfig& c) {
    return std::make_unique<RmsNorm>(c.hidden_size, c.rms_norm_eps, c.decoder.zero_centered_norms);
  }

  LayerOptions options_;
  SelfAttention self_attn_;
  Mlp mlp_;
  std::unique_ptr<RmsNorm> input_layernorm_, post_attention_layernorm_;
  std::unique_ptr<RmsNorm> pre_feedforward_layernorm_, post_feedforward_layernorm_;  // or neither
};

/// The rotations of one pass, by what a layer may choose.
struct Decoder::Rotaries {
  std::shared_ptr<const Rotary> global, local, none;

  const std::shared_ptr<const Rotary>& of(const LayerOptions& layer) const {
    if (layer.rope == LayerOptions::Rope::kGlobal) return global;
    return layer.rope == LayerOptions::Rope::kLocal ? local : none;
  }
};

namespace {

/// Whether the keys in the cache were rotated with LongRoPE's short factors and this pass needs the
/// long ones. transformers' Phi3 drops its cache then. "dynamic" changes with every token: its
/// cached keys stay as they are, there as here.
bool outgrows_short_factors(const ModelConfig& config, int64_t cached_length, int64_t length) {
  if (config.rope_scaling->rope_type() != "longrope") return false;
  int64_t original = config.rope_geometry().max_position_embeddings;
  return cached_length > 0 && cached_length <= original && length > original;
}

}  // namespace

Decoder::Decoder(ModelConfig config)
    : CausalLm(std::move(config)),
      embed_tokens_(unloaded_parameter({config_.vocab_size, config_.hidden_size})),
      norm_(config_.hidden_size, config_.rms_norm_eps, config_.decoder.zero_centered_norms) {
  for (int64_t i = 0; i < config_.num_hidden_layers; ++i) {
    layers_.push_back(std::make_unique<Layer>(config_, config_.layer(i)));
  }
  if (!config_.tie_word_embeddings) {
    lm_head_ = unloaded_parameter({config_.vocab_size, config_.hidden_size});
  }
}

Decoder::~Decoder() = default;

at::Tensor Decoder::embed(const at::Tensor& input_ids) const {
  // As in transformers the input embedding of the padding token is not trained.
  int64_t padding = config_.pad_token_id.value_or(-1);
  at::Tensor x = embed_tokens(embed_tokens_, input_ids, padding);  // [B, T, C]
  if (!config_.decoder.scaled_embeddings) return x;
  // The factor rounded to the weights' dtype, as transformers has it.
  double scale = std::sqrt(static_cast<double>(config_.hidden_size));
  return x * at::scalar_tensor(scale, x.options());
}

Decoder::Rotaries Decoder::rotaries(const at::Tensor& position_ids, int64_t seq_len) const {
  auto rotary = [&](const RopeScaling& scaling, const RopeGeometry& geometry) {
    return std::make_shared<Rotary>(scaling.frequencies(geometry, seq_len), position_ids, dtype());
  };
  Rotaries made;
  made.global = rotary(*config_.rope_scaling, config_.rope_geometry());
  if (const auto& local = config_.decoder.local_rope) {
    made.local = rotary(*local->rope_scaling, config_.local_rope_geometry());
  }
  made.none = std::make_shared<Rotary>();
  return made;
}

at::Tensor Decoder::hidden_states(const ModelInput& input, ModelState* state) {
  int64_t past = state ? state->length() : 0;
  int64_t seq_len = past + input.input_ids.size(1);
  const int64_t sequence_length = std::max(seq_len, input.sequence_length);
  at::Tensor positions = input.position_ids;
  if (positions.defined()) {
    seq_len = positions.max().item<int64_t>() + 1;
  } else {
    positions = at::arange(past, seq_len, input.input_ids.options()).unsqueeze(0);
  }
  seq_len = std::max({seq_len, input.sequence_length, input.rope_length});
  const int64_t rope_length = attention_->rope_length(seq_len);
  if (state && outgrows_short_factors(config_, state->rope_length, rope_length)) {
    ModelState again;
    hidden_states({state->input_ids, {}, {}, seq_len}, &again);
    *state = std::move(again);
  }
  if (state) state->begin_pass(input.input_ids, rope_length, *attention_, std::ssize(layers_));

  Rotaries rotations = rotaries(positions, rope_length);
  at::Tensor x = embed(input.input_ids);
  for (size_t i = 0; i < layers_.size(); ++i) {
    const LayerOptions& options = layers_[i]->options();
    // Backward may call this once more: it owns what it needs.
    const std::shared_ptr<LayerState> layer_state = state ? state->layers[i] : nullptr;
    auto attend = [pattern = attention_, rotary = rotations.of(options),
                   documents = input.document_ids, window = options.sliding_window, i, past,
                   sequence_length, passage_rows = input.passage_rows,
                   layer_state](const SelfAttention& attention, std::vector<at::Tensor> projected,
                                AttentionResult* kept) {
      return attention.attend(std::move(projected), *pattern,
                              {.rotary = *rotary,
                               .document_ids = documents,
                               .state = layer_state.get(),
                               .sliding_window = window,
                               .kept = kept,
                               .layer = static_cast<int64_t>(i),
                               .first_position = past,
                               .sequence_length = sequence_length,
                               .passage_rows = passage_rows});
    };
    x = run_layer(layers_[i]->blocks(std::move(attend), activations_.chunk_tokens), x,
                  activations_.recompute, i);
    if (layer_state) layer_state->commit();
  }
  return norm_.forward(x);
}

const at::Tensor& Decoder::lm_head_weight() const {
  return lm_head_.defined() ? lm_head_ : embed_tokens_;
}

void Decoder::visit_parameters(const std::string& prefix, const ParameterVisitor& visit) {
  visit(prefix + "model.embed_tokens.weight", embed_tokens_);
  for (size_t i = 0; i < layers_.size(); ++i) {
    layers_[i]->visit_parameters(fmt::format("{}model.layers.{}.", prefix, i), visit);
  }
  norm_.visit_parameters(prefix + "model.norm.", visit);
  if (lm_head_.defined()) visit(prefix + "lm_head.weight", lm_head_);
}

void Decoder::visit_linears(const LinearVisitor& visit) {
  for (size_t i = 0; i < layers_.size(); ++i) {
    layers_[i]->visit_linears(fmt::format("model.layers.{}.", i), visit);
  }
}

int64_t layer_of(std::string_view name) {
  name.remove_prefix(std::string_view("model.layers.").size());
  return std::stoll(std::string(name.substr(0, name.find('.'))));
}

}  // namespace longspan
