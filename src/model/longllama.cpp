#include <fmt/format.h>

#include "src/attention/focused_memory.h"
#include "src/model/families.h"

namespace longspan {

namespace {

void read_mem_dtype(Fields& fields, MemDtype& dtype) {
  std::string name = name_of(dtype);
  fields.choice("mem_dtype", name, mem_dtype_names());
  dtype = mem_dtype_named(name);
}

}  // namespace

/// LongLLaMA (Tworkowski et al. 2023, arXiv 2307.03170): LLaMA's weights, read in windows of
/// max_position_embeddings tokens with memory in the layers that mem_layers names. Its own code has
/// no grouped-query attention, no biases and no scaled RoPE; here it may have them.
void read_longllama(Fields& fields, ModelConfig& config) {
  config.max_position_embeddings = 2048;
  config.rms_norm_eps = 1e-6;
  read_shape(fields, config);
  require_silu(fields);
  read_attention_bias(fields, config);
  fields.optional("mlp_bias", config.decoder.mlp_bias);
  FocusedMemoryOptions options;
  options.lengths.window = config.max_position_embeddings;
  if (!fields.has("last_context_length")) options.lengths = options.lengths.fitted();
  fields.optional("mem_layers", options.mem_layers);
  for (const int64_t layer : options.mem_layers) {
    if (layer >= 0 && layer < config.num_hidden_layers) continue;
    fields.error("mem_layers", fmt::format("has {}; expected layers from 0 to {}", layer,
                                           config.num_hidden_layers - 1));
  }
  fields.in_range("last_context_length", options.lengths.last_context, 1, options.lengths.window);
  fields.optional("mem_positionals", options.mem_positionals);
  read_mem_dtype(fields, options.mem_dtype);
  read_mem_attention_grouping(fields, options.mem_attention_grouping);
  config.attention = std::make_shared<FocusedMemoryAttention>(std::move(options));
}

}  // namespace longspan
