#include "checkpoints/hf/hf_focused_memory.h"

#include <fmt/ranges.h>

#include <string>
#include <vector>

#include "src/attention/focused_memory.h"
#include "src/core/log.h"
#include "src/model/family.h"

namespace longspan {

namespace {

constexpr const char* kLongLlama = "longllama";

std::string torch_name_of(MemDtype dtype) {
  const bool is_ours = dtype == MemDtype::kInt8 || dtype == MemDtype::kInt4;
  return name_of(is_ours ? MemDtype::kBFloat16 : dtype);
}

void warn_of_what_longllama_lacks(const ModelConfig& config) {
  std::vector<std::string> lacks;
  if (config.num_key_value_heads != config.num_attention_heads) {
    lacks.push_back(fmt::format("grouped-query attention ({} key and value heads for {} heads)",
                                config.num_key_value_heads, config.num_attention_heads));
  }
  const DecoderOptions& decoder = config.decoder;
  if (decoder.qkv_bias || decoder.o_bias || decoder.mlp_bias) lacks.emplace_back("biases");
  if (config.rope_scaling->rope_type() != "default") {
    lacks.push_back(fmt::format("scaled RoPE ({})", config.rope_scaling->rope_type()));
  }
  if (lacks.empty()) return;
  log_warning_once("LongLLaMA's own code has no {} and cannot read this model; longspan can",
                   fmt::join(lacks, ", no "));
}

}  // namespace

void require_statable_attention(std::string_view model_type, const AttentionPattern& attention) {
  if (!attention.belongs_to_model() || model_type == "llama" || model_type == kLongLlama) return;
  fail(ExitCode::kModel,
       "attention {} is stated in LongLLaMA's form, which is a llama's; the model is of {}: train "
       "a model of model_type llama, or take another attention",
       attention.name(), model_type);
}

void write_focused_memory(Json& json, const ModelConfig& config) {
  const auto* pattern = dynamic_cast<const FocusedMemoryAttention*>(config.attention.get());
  if (!pattern) return;
  require_statable_attention(config.model_type, *pattern);
  warn_of_what_longllama_lacks(config);
  const FocusedMemoryOptions& options = pattern->options();
  json["model_type"] = kLongLlama;
  json["architectures"] = Json::array({family_of(kLongLlama).architecture});
  json["max_position_embeddings"] = options.lengths.window;
  json["last_context_length"] = options.lengths.last_context;
  json["mem_layers"] = options.mem_layers;
  json["mem_positionals"] = options.mem_positionals;
  json["mem_dtype"] = torch_name_of(options.mem_dtype);
  json["mem_attention_grouping"] = nullptr;
  if (!options.mem_attention_grouping.empty()) {
    json["mem_attention_grouping"] = options.mem_attention_grouping;
  }
}

}  // namespace longspan
