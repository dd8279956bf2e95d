#pragma once

#include "src/model/model_config.h"

namespace longspan {

/// Makes the config.json of a LLaMA that of a LongLLaMA where `config` has focused memory, with the
/// keys of LongLLaMA's own code (configuration_longllama.py). max_position_embeddings is the window
/// there. A form of memory that its code lacks (int8, int4) becomes bfloat16. Throws Error(kModel)
/// for a family other than llama.
void write_focused_memory(Json& json, const ModelConfig& config);

/// Throws what write_focused_memory() would: a run should hear of it before it trains.
void require_statable_attention(std::string_view model_type, const AttentionPattern& attention);

/// The keys by which config.json states focused memory.
inline constexpr const char* kFocusedMemoryKeys[] = {
    "mem_layers", "mem_positionals", "mem_dtype", "mem_attention_grouping", "last_context_length"};

}  // namespace longspan
