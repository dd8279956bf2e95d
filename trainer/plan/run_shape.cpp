#include "trainer/plan/run_shape.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "src/model/decoder.h"

namespace longspan {

namespace {

constexpr std::string_view kLayers = "model.layers.";

/// Of the attention block and not of the MLP's, as Decoder::Layer divides them.
bool is_of_attention(std::string_view module, const DecoderOptions& decoder) {
  return module.find(".self_attn.") != module.npos || module.ends_with(".input_layernorm") ||
         (decoder.sandwich_norms && module.ends_with(".post_attention_layernorm"));
}

int64_t blocks_before_trained(CausalLm& model, const LoraOptions& lora) {
  if (lora.saves("model.embed_tokens")) return 0;
  const ModelConfig& config = model.config();
  int64_t block = 2 * config.num_hidden_layers;
  const auto is_trained = [&](std::string_view module) {
    if (!module.starts_with(kLayers)) return;
    block =
        std::min(block, 2 * layer_of(module) + (is_of_attention(module, config.decoder) ? 0 : 1));
  };
  model.visit_parameters("", [&](const std::string& name, at::Tensor&) {
    const std::string module = name.substr(0, name.rfind('.'));
    if (lora.saves(module)) is_trained(module);
  });
  model.visit_linears([&](const std::string& name, std::unique_ptr<Linear>&) {
    if (lora.targets(name)) is_trained(name);
  });
  return block;
}

}  // namespace

RunShape run_shape(const ModelConfig& config, const LoraOptions& lora, at::ScalarType dtype,
                   Quantization quantization, int64_t loss_chunk_tokens, int64_t threads) {
  RunShape shape;
  shape.config = config;
  shape.parameters = count_parameters(config, lora);
  shape.dtype = dtype;
  shape.quantization = quantization;
  shape.trains_embedding = lora.saves("model.embed_tokens");
  shape.trains_head = config.tie_word_embeddings ? shape.trains_embedding : lora.saves("lm_head");
  shape.use_dora = lora.use_dora;
  shape.has_dropout = lora.lora_dropout > 0;
  shape.loss_chunk_tokens = loss_chunk_tokens;
  shape.threads = threads > 0 ? threads : at::get_num_threads();
  const auto model = make_causal_lm(config);
  shape.blocks_before_trained = blocks_before_trained(*model, lora);
  model->visit_linears([&](const std::string& name, std::unique_ptr<Linear>& linear) {
    if (layer_of(name) + 1 < config.num_hidden_layers) return;
    shape.projections.push_back({.name = name.substr(name.rfind('.') + 1),
                                 .in_features = linear->in_features(),
                                 .out_features = linear->out_features(),
                                 .rank = lora.targets(name) ? lora.for_module(name).r : 0,
                                 .is_frozen = !lora.saves(name)});
  });
  return shape;
}

}  // namespace longspan
