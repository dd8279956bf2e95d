#include "src/model/family.h"

#include <algorithm>

#include "src/core/text.h"
#include "src/model/families.h"

namespace longspan {

namespace {

// A new family is a file and a line here.
constexpr Family kFamilies[] = {
    {"llama", "LlamaForCausalLM", read_llama},
    {"mistral", "MistralForCausalLM", read_mistral},
    {"qwen2", "Qwen2ForCausalLM", read_qwen2},
    {"qwen3", "Qwen3ForCausalLM", read_qwen3},
    {"smollm3", "SmolLM3ForCausalLM", read_smollm3},
    {"phi3", "Phi3ForCausalLM", read_phi3, /*only_longrope=*/true},
    {"gemma3_text", "Gemma3ForCausalLM", read_gemma3},
    {"longllama", "LongLlamaForCausalLM", read_longllama},
};

constexpr int64_t kLargest = int64_t{1} << 31;  // of any length in a config
// Of sizes and of heads: the bytes of a fused projection stay in int64, RoPE's table in memory.
constexpr int64_t kLargestSize = int64_t{1} << 26, kLargestHead = int64_t{1} << 16;
constexpr int64_t kMostLayers = 10000;  // what the file claims is made before tensors are

}  // namespace

std::vector<std::string> model_types() {
  std::vector<std::string> types;
  for (const auto& family : kFamilies) types.emplace_back(family.model_type);
  return types;
}

const Family& family_of(std::string_view model_type) {
  for (const auto& family : kFamilies) {
    if (family.model_type == model_type) return family;
  }
  fail(ExitCode::kModel, "model_type '{}' is not known; expected one of {}", model_type,
       join(model_types(), ", "));
}

void read_shape(Fields& fields, ModelConfig& config) {
  auto size = [&](const char* key, int64_t& value, int64_t largest = kLargestSize) {
    if (value == 0 && !fields.has(key)) return fields.error(key, "is missing");
    fields.in_range(key, value, 1, largest);
    value = std::clamp<int64_t>(value, 1, largest);  // reading goes on to the other errors
  };
  size("vocab_size", config.vocab_size);
  size("hidden_size", config.hidden_size);
  size("intermediate_size", config.intermediate_size);
  size("num_hidden_layers", config.num_hidden_layers, kMostLayers);
  size("num_attention_heads", config.num_attention_heads, kLargestHead);
  size("max_position_embeddings", config.max_position_embeddings, kLargest);
  fields.in_range("rms_norm_eps", config.rms_norm_eps, 0.0, 1.0);
  fields.optional("tie_word_embeddings", config.tie_word_embeddings);

  int64_t heads = std::max<int64_t>(config.num_attention_heads, 1);
  bool null_groups =
      config.source.contains("num_key_value_heads") && !fields.has("num_key_value_heads");
  if (null_groups || config.num_key_value_heads == 0) config.num_key_value_heads = heads;
  size("num_key_value_heads", config.num_key_value_heads, kLargestHead);
  if (heads % std::max<int64_t>(config.num_key_value_heads, 1) != 0) {
    fields.error("num_key_value_heads", fmt::format("{} does not divide the {} attention heads",
                                                    config.num_key_value_heads, heads));
  }
  if (config.head_dim == 0) config.head_dim = config.hidden_size / heads;
  if (config.hidden_size > 0) fields.in_range("head_dim", config.head_dim, 2, kLargestHead);
  if (config.head_dim % 2 != 0) {
    fields.error("head_dim", fmt::format("{} is odd; RoPE wants pairs", config.head_dim));
  }
}

void read_attention_bias(Fields& fields, ModelConfig& config) {
  bool attention_bias = false;
  fields.optional("attention_bias", attention_bias);
  config.decoder.qkv_bias = config.decoder.o_bias = attention_bias;
}

void require_silu(Fields& fields) {
  std::string hidden_act = "silu";
  fields.choice("hidden_act", hidden_act, {"silu", "swish"});
}

int64_t read_sliding_window(Fields& fields, const ModelConfig& config, int64_t fallback) {
  int64_t window = config.source.contains("sliding_window") ? 0 : fallback;
  if (fields.has("sliding_window")) fields.in_range("sliding_window", window, 1, kLargest);
  return window;
}

void read_layer_types(Fields& fields, ModelConfig& config, int64_t window,
                      const std::function<bool(int64_t)>& slides) {
  std::vector<std::string> types;
  fields.optional("layer_types", types);
  bool given = fields.has("layer_types");
  auto count = static_cast<size_t>(config.num_hidden_layers);
  if (given && types.size() != count) {
    return fields.error("layer_types",
                        fmt::format("has {} entries for {} layers", types.size(), count));
  }
  config.decoder.layers.resize(count);
  for (size_t i = 0; i < count; ++i) {
    bool sliding = given ? types[i] == "sliding_attention" : slides(static_cast<int64_t>(i));
    if (given && !sliding && types[i] != "full_attention") {
      return fields.error("layer_types", fmt::format("'{}' is not supported; expected "
                                                     "full_attention or sliding_attention",
                                                     types[i]));
    }
    if (sliding && window == 0) {
      return fields.error("sliding_window", "is missing, and layer_types has sliding_attention");
    }
    config.decoder.layers[i].sliding_window = sliding ? window : 0;
  }
}

}  // namespace longspan
