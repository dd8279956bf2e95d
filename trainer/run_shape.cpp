#include "trainer/run_shape.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "src/model/causal_lm.h"

namespace longspan {

namespace {

/// As apply_lora matches modules_to_save.
bool is_saved(const LoraOptions& lora, std::string_view module) {
  return std::any_of(lora.modules_to_save.begin(), lora.modules_to_save.end(),
                     [&](const auto& end) { return module.ends_with(end); });
}

bool is_target(const LoraOptions& lora, const std::string& module) {
  return std::any_of(lora.target_modules.begin(), lora.target_modules.end(),
                     [&](const auto& end) { return module.ends_with("." + end); });
}

}  // namespace

RunShape run_shape(const ModelConfig& config, const LoraOptions& lora, at::ScalarType dtype,
                   Quantization quantization, int64_t loss_chunk_tokens, int64_t threads) {
  RunShape shape;
  shape.config = config;
  shape.parameters = count_parameters(config, lora);
  shape.dtype = dtype;
  shape.quantization = quantization;
  shape.trains_embedding = is_saved(lora, "model.embed_tokens");
  shape.trains_head =
      config.tie_word_embeddings ? shape.trains_embedding : is_saved(lora, "lm_head");
  shape.loss_chunk_tokens = loss_chunk_tokens;
  shape.threads = threads > 0 ? threads : at::get_num_threads();
  ModelConfig layer = config;
  layer.num_hidden_layers = 1;
  make_causal_lm(layer)->visit_linears(
      [&](const std::string& name, std::unique_ptr<Linear>& linear) {
        shape.projections.push_back({.name = name.substr(name.rfind('.') + 1),
                                     .in_features = linear->in_features(),
                                     .out_features = linear->out_features(),
                                     .rank = is_target(lora, name) ? lora.for_module(name).r : 0});
      });
  return shape;
}

}  // namespace longspan
