#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "src/attention/attention.h"
#include "src/attention/layer_state.h"
#include "src/model/model_config.h"
#include "src/nn/linear.h"
#include "src/nn/module.h"
#include "src/nn/recompute.h"

namespace longspan {

/// B rows of T tokens; all int64.
struct ModelInput {
  at::Tensor input_ids;     // [B, T]
  at::Tensor position_ids;  // [B, T]; undefined: 0..T-1 after what the state holds
  at::Tensor document_ids;  // [B, T], non-decreasing; undefined: a row is one document
  /// The tokens of the whole sequence when this pass reads a part of it: some RoPE scalings depend
  /// on them. 0: those read so far.
  int64_t sequence_length = 0;
  /// Rows that are windows of one document, side by side; 0: each row is a text of its own. See
  /// AttentionContext.
  int64_t passage_rows = 0;
  /// The length that RoPE scalings depend on, at least, where positions alone do not tell it:
  /// skipped ones are of a text of so many tokens.
  int64_t rope_length = 0;
};

/// What generation keeps between passes. It moves, and is copied by fork() alone.
struct ModelState {
  std::vector<std::shared_ptr<LayerState>> layers;
  at::Tensor input_ids;     // [B, length()]: LongRoPE may have to read them again
  int64_t rope_length = 0;  // the length whose frequencies the keys were rotated with

  ModelState() = default;
  ModelState(ModelState&&) = default;
  ModelState& operator=(ModelState&&) = default;

  int64_t length() const { return layers.empty() ? 0 : layers.front()->length(); }
  /// For one of many continuations of what was read: a fork of each layer's state, as cheap as
  /// LayerState::fork().
  ModelState fork() const;
  /// Makes ready to append ids [B, T] under the frequencies of that length. The first pass has
  /// `attention` make the states of num_layers layers; std::logic_error where it makes none.
  void begin_pass(const at::Tensor& ids, int64_t length, const AttentionPattern& attention,
                  int64_t num_layers);
};

/// What forward keeps for backward, and how much of a sequence it works on at once.
struct ActivationOptions {
  RecomputeOptions recompute = {};
  /// Tokens that an MLP and the projections of q, k and v work on at once, with recompute; 0: all.
  /// Those with weights that are trained work on all anyway.
  int64_t chunk_tokens = 0;
};

/// A decoder-only language model.
class CausalLm : public Module {
 public:
  using LinearVisitor =
      std::function<void(const std::string& name, std::unique_ptr<Linear>& linear)>;

  explicit CausalLm(ModelConfig config);

  /// -> [B, T, hidden_size] after the final norm. Logits are hidden x lm_head_weight()^T; they are
  /// never made whole here (see src/nn/chunked_cross_entropy.h).
  virtual at::Tensor hidden_states(const ModelInput& input, ModelState* state = nullptr) = 0;
  virtual const at::Tensor& lm_head_weight() const = 0;  // [vocab_size, hidden_size]
  /// Each projection with its module name ("model.layers.0.self_attn.q_proj"), to be replaced by
  /// one that adapts or quantises it.
  virtual void visit_linears(const LinearVisitor& visit) = 0;

  const ModelConfig& config() const { return config_; }
  /// Takes effect at the next pass. max_position_embeddings becomes `max_position_embeddings`, and
  /// the length before scaling `original`.
  void set_rope_scaling(std::shared_ptr<const RopeScaling> scaling, int64_t max_position_embeddings,
                        std::optional<int64_t> original = std::nullopt);
  /// One that belongs to the model becomes the config's too. Throws Error(kModel) where it names
  /// layers that there are not.
  void set_attention(std::shared_ptr<const AttentionPattern> attention);
  /// Only what the config says; null: nothing.
  void state_attention(std::shared_ptr<const AttentionPattern> attention) {
    config_.attention = std::move(attention);
  }
  const AttentionPattern& attention() const { return *attention_; }
  const std::shared_ptr<const AttentionPattern>& shared_attention() const { return attention_; }
  /// What a training pass keeps for backward, and where.
  void set_activations(ActivationOptions options) { activations_ = std::move(options); }

  at::ScalarType dtype() const { return lm_head_weight().scalar_type(); }

 protected:
  ModelConfig config_;
  std::shared_ptr<const AttentionPattern> attention_;  // at first the config's, or "full"
  ActivationOptions activations_;
};

/// The model of config.model_type with unloaded parameters. Throws Error(kModel) listing the known
/// types when there is none of that name.
std::unique_ptr<CausalLm> make_causal_lm(const ModelConfig& config);

/// Takes all weights, quantised ones too, to another device.
void move_to(CausalLm& model, at::Device device);

}  // namespace longspan
