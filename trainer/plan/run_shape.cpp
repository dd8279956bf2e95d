#include "trainer/plan/run_shape.h"

#include <ATen/Parallel.h>

#include "src/model/causal_lm.h"

namespace longspan {

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
  shape.loss_chunk_tokens = loss_chunk_tokens;
  shape.threads = threads > 0 ? threads : at::get_num_threads();
  ModelConfig layer = config;
  layer.num_hidden_layers = 1;
  make_causal_lm(layer)->visit_linears(
      [&](const std::string& name, std::unique_ptr<Linear>& linear) {
        shape.projections.push_back({.name = name.substr(name.rfind('.') + 1),
                                     .in_features = linear->in_features(),
                                     .out_features = linear->out_features(),
                                     .rank = lora.targets(name) ? lora.for_module(name).r : 0,
                                     .is_frozen = !lora.saves(name)});
      });
  return shape;
}

}  // namespace longspan
