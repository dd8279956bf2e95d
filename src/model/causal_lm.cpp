#include "src/model/causal_lm.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <fmt/format.h>

#include <iterator>
#include <stdexcept>

#include "src/core/error.h"
#include "src/model/decoder.h"
#include "src/model/family.h"

namespace longspan {

ModelState ModelState::fork() const {
  ModelState other;
  for (const auto& layer : layers) other.layers.push_back(layer->fork());
  other.input_ids = input_ids;
  other.rope_length = rope_length;
  return other;
}

void ModelState::begin_pass(const at::Tensor& ids, int64_t length,
                            const AttentionPattern& attention, int64_t num_layers) {
  for (auto layer = std::ssize(layers); layer < num_layers; ++layer) {
    layers.push_back(attention.make_state(layer));
    if (layers.back()) continue;
    throw std::logic_error(
        fmt::format("{} attention keeps no state between passes", attention.name()));
  }
  input_ids = input_ids.defined() ? at::cat({input_ids, ids}, 1) : ids;
  rope_length = length;
}

CausalLm::CausalLm(ModelConfig config) : config_(std::move(config)) {
  set_attention(config_.attention ? config_.attention : make_attention_pattern("full"));
}

void CausalLm::set_rope_scaling(std::shared_ptr<const RopeScaling> scaling,
                                int64_t max_position_embeddings, std::optional<int64_t> original) {
  config_.rope_scaling = std::move(scaling);
  config_.max_position_embeddings = max_position_embeddings;
  config_.original_max_position_embeddings = original;
}

void CausalLm::set_attention(std::shared_ptr<const AttentionPattern> attention) {
  const std::string misfit =
      attention->misfit(config_.num_hidden_layers, config_.num_attention_heads);
  if (!misfit.empty()) {
    fail(ExitCode::kModel, "attention {}: {}", attention->name(), misfit);
  }
  if (attention->belongs_to_model()) config_.attention = attention;
  attention_ = std::move(attention);
}

void move_to(CausalLm& model, at::Device device) {
  at::NoGradGuard no_gradients;
  model.visit_parameters("", [&](const std::string&, at::Tensor& parameter) {
    parameter = parameter.to(device).requires_grad_(parameter.requires_grad());
  });
  model.visit_linears([&](const std::string&, std::unique_ptr<Linear>& linear) {
    if (linear->quantized) linear->quantized = linear->quantized->to(device);
  });
}

std::unique_ptr<CausalLm> make_causal_lm(const ModelConfig& config) {
  family_of(config.model_type);
  return std::make_unique<Decoder>(config);
}

}  // namespace longspan
