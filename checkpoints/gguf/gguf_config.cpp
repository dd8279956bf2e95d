#include "checkpoints/gguf/gguf_config.h"

#include <algorithm>

#include "checkpoints/gguf/gguf_end_tokens.h"
#include "checkpoints/gguf/gguf_token_id.h"
#include "src/attention/focused_memory.h"
#include "src/core/log.h"
#include "src/core/text.h"
#include "src/model/context_length.h"
#include "src/model/family.h"

namespace longspan {

namespace {

/// head_count_kv and the like may be a list with an entry a layer; here all must agree.
int64_t same_in_all_layers(const GgufReader& gguf, const std::string& key, int64_t fallback) {
  const Json* value = gguf.value(key);
  if (!value || !value->is_array()) return gguf.integer(key, fallback);
  bool same =
      !value->empty() && (*value)[0].is_number_integer() &&
      std::all_of(value->begin(), value->end(), [&](const Json& v) { return v == (*value)[0]; });
  if (!same) {
    fail(ExitCode::kModel, "{}: {} differs from layer to layer, which is not supported",
         gguf.place(), key);
  }
  return (*value)[0].get<int64_t>();
}

/// What llama.cpp divides gemma3's scores by the square root of. It knows the 27B, whose scale is
/// another, by its 62 layers.
int64_t gemma3_query_pre_attn_scalar(int64_t num_hidden_layers, int64_t hidden_size,
                                     int64_t num_attention_heads, int64_t head_dim) {
  return num_hidden_layers == 62 ? hidden_size / num_attention_heads : head_dim;
}

/// What one family's config.json has beside the common keys.
void add_family_keys(const GgufReader& gguf, const GgufArchitecture& architecture, Json& config) {
  int64_t window = gguf.integer(architecture.key("attention.sliding_window"), 0);
  if (architecture.model_type == "llama" && window > 0) {
    // llama.cpp calls Mistral so too; ours say by this key which it is.
    config["model_type"] = "mistral";
    config["architectures"] = {family_of("mistral").architecture};
  }
  if (architecture.model_type == "gemma3_text") {
    config["sliding_window_pattern"] =
        gguf.integer(architecture.key("attention.sliding_window_pattern"), 6);
    config["rope_local_base_freq"] = gguf.number(architecture.key("rope.freq_base_swa"), 10000.0);
    config["query_pre_attn_scalar"] =
        gemma3_query_pre_attn_scalar(config["num_hidden_layers"], config["hidden_size"],
                                     config["num_attention_heads"], config["head_dim"]);
    config["hidden_activation"] = "gelu_pytorch_tanh";
    config.erase("hidden_act");
  }
  if (architecture.model_type == "smollm3") config["no_rope_layer_interval"] = 4;
  if (architecture.model_type != "llama" || window > 0) {
    config["sliding_window"] = window > 0 ? Json(window) : Json();
  }
  if (architecture.in_layer.data() == find_gguf_architecture("llama")->in_layer.data()) {
    config["attention_bias"] = gguf.find("blk.0.attn_q.bias") != nullptr;
  }
  if (architecture.model_type == "llama") {
    config["mlp_bias"] = gguf.find("blk.0.ffn_up.bias") != nullptr;
  }
}

/// Rotated and whole dimensions of a head, and what RoPE starts from.
RopeGeometry rope_geometry_of(const GgufReader& gguf, const GgufArchitecture& architecture,
                              int64_t head_dim) {
  RopeGeometry geometry;
  geometry.head_dim = gguf.integer(architecture.key("rope.dimension_count"), head_dim);
  geometry.rope_theta = gguf.number(architecture.key("rope.freq_base"), 10000.0);
  geometry.max_position_embeddings = gguf.integer(architecture.key("context_length"));
  bool partial = geometry.head_dim != head_dim;
  constexpr int64_t kLargest = 65536;  // a table of frequencies is made before weights are seen
  if (geometry.head_dim < 2 || geometry.head_dim > std::min(head_dim, kLargest) ||
      (partial && architecture.model_type != "phi3")) {
    fail(ExitCode::kModel, "{}: rotates {} of the {} dimensions of a head, which is not supported",
         gguf.place(), geometry.head_dim, head_dim);
  }
  return geometry;
}

}  // namespace

const GgufArchitecture& gguf_architecture(const GgufReader& gguf) {
  std::string name = gguf.text("general.architecture");
  const GgufArchitecture* architecture = find_gguf_architecture(name);
  if (!architecture) {
    fail(ExitCode::kModel, "{}: architecture '{}' is not supported; expected {}", gguf.place(),
         name, join(gguf_architectures(), ", "));
  }
  return *architecture;
}

Json gguf_config_json(const GgufReader& gguf) {
  const GgufArchitecture& architecture = gguf_architecture(gguf);
  auto key = [&](const char* name) { return architecture.key(name); };
  const GgufTensor* embeddings = gguf.find("token_embd.weight");
  if (!embeddings || embeddings->shape.size() != 2) {
    fail(ExitCode::kModel, "{}: has no matrix token_embd.weight", gguf.place());
  }
  int64_t hidden_size = gguf.integer(key("embedding_length"));
  int64_t heads = same_in_all_layers(gguf, key("attention.head_count"), 0);
  if (heads < 1) {
    fail(ExitCode::kModel, "{}: {} is {}", gguf.place(), key("attention.head_count"), heads);
  }
  int64_t head_dim = gguf.integer(key("attention.key_length"), hidden_size / heads);
  RopeGeometry geometry = rope_geometry_of(gguf, architecture, head_dim);

  Json config = {{"architectures", {family_of(architecture.model_type).architecture}},
                 {"model_type", architecture.model_type}};
  config["vocab_size"] = embeddings->shape[0];
  config["hidden_size"] = hidden_size;
  config["intermediate_size"] = same_in_all_layers(gguf, key("feed_forward_length"), 0);
  config["num_hidden_layers"] = gguf.integer(key("block_count"));
  config["num_attention_heads"] = heads;
  config["num_key_value_heads"] = same_in_all_layers(gguf, key("attention.head_count_kv"), heads);
  config["head_dim"] = head_dim;
  config["hidden_act"] = "silu";
  config["rms_norm_eps"] = gguf.number(key("attention.layer_norm_rms_epsilon"));
  config["tie_word_embeddings"] = gguf.find("output.weight") == nullptr;
  config["initializer_range"] = 0.02;
  config["use_cache"] = true;
  config["max_position_embeddings"] = geometry.max_position_embeddings;
  config["rope_theta"] = geometry.rope_theta;
  add_family_keys(gguf, architecture, config);
  if (geometry.head_dim != head_dim) {
    config["partial_rotary_factor"] =
        static_cast<double>(geometry.head_dim) / static_cast<double>(head_dim);
  }
  Json scaling = gguf_rope_scaling(gguf, architecture, geometry);
  if (scaling.is_object()) {
    // Where Phi-3 has it; transformers would take 4096 for it.
    if (architecture.model_type == "phi3")
      config[kOriginalMaxPositionEmbeddings] =
          scaling.value(kOriginalMaxPositionEmbeddings, Json());
    int64_t original = gguf.integer(key("rope.scaling.original_context_length"), 0);
    if (scaling["rope_type"] == "linear" && original > 0)
      config[kOriginalMaxPositionEmbeddings] = original;
    config["rope_scaling"] = std::move(scaling);
  }
  for (auto [from, ours] : {std::pair("tokenizer.ggml.bos_token_id", "bos_token_id"),
                            std::pair("tokenizer.ggml.padding_token_id", "pad_token_id")}) {
    if (const auto id = gguf_token_id(gguf, from)) config[ours] = *id;
  }
  const std::vector<int64_t> ends = gguf_end_tokens(gguf);
  if (ends.size() == 1) config["eos_token_id"] = ends[0];
  if (ends.size() > 1) config["eos_token_id"] = ends;
  std::string name = gguf.text("general.name", "");
  if (!name.empty()) config["_name_or_path"] = name;
  return config;
}

namespace {

/// gemma3's graph in llama.cpp: the layers that slide, their RoPE and the scale of the scores.
void write_gemma3(const ModelConfig& config, const GgufArchitecture& architecture,
                  GgufMetadata& metadata) {
  const auto& layers = config.decoder.layers;
  auto slides = [&](size_t i) { return layers[i].sliding_window > 0; };
  size_t pattern = 1;  // every pattern-th layer has full attention
  while (pattern <= layers.size() && slides(pattern - 1)) ++pattern;
  int64_t scalar = gemma3_query_pre_attn_scalar(config.num_hidden_layers, config.hidden_size,
                                                config.num_attention_heads, config.head_dim);
  bool regular = config.decoder.query_pre_attn_scalar == static_cast<double>(scalar) &&
                 config.decoder.local_rope->rope_scaling->rope_type() == "default";
  for (size_t i = 0; i < layers.size(); ++i) regular &= slides(i) == ((i + 1) % pattern != 0);
  if (!regular) {
    fail(ExitCode::kModel,
         "gemma3: llama.cpp wants query_pre_attn_scalar to be {} (it is {}), layer_types in a "
         "regular pattern and sliding layers without RoPE scaling",
         scalar, config.decoder.query_pre_attn_scalar);
  }
  metadata.set_whole(architecture.key("attention.sliding_window_pattern"),
                     static_cast<int64_t>(pattern));
  metadata.set(architecture.key("rope.freq_base_swa"),
               static_cast<float>(config.decoder.local_rope->rope_theta));
}

void refuse_what_llama_cpp_lacks(const ModelConfig& config, const GgufArchitecture& architecture) {
  const DecoderOptions& decoder = config.decoder;
  bool other_biases = (decoder.o_bias || decoder.mlp_bias) && architecture.name != "llama";
  if (other_biases) {
    fail(ExitCode::kModel, "llama.cpp has no biases of o_proj and MLP in a {} model",
         architecture.name);
  }
  for (int64_t i = 0; i < config.num_hidden_layers; ++i) {
    bool rotates = config.layer(i).rope != LayerOptions::Rope::kNone;
    if (rotates != (architecture.name != "smollm3" || (i + 1) % 4 != 0)) {
      fail(ExitCode::kModel,
           "no_rope_layers: layer {} {} RoPE; llama.cpp leaves it out of every fourth layer of "
           "smollm3 and of no other",
           i, rotates ? "has" : "has no");
    }
  }
}

/// llama.cpp reads a LongLLaMA as the LLaMA that its weights are.
void warn_of_lost_memory(const ModelConfig& config) {
  const auto* attention = dynamic_cast<const FocusedMemoryAttention*>(config.attention.get());
  if (!attention) return;
  const FocusedMemoryOptions& options = attention->options();
  if (!options.mem_positionals && !options.mem_layers.empty()) {
    fail(ExitCode::kModel,
         "mem_positionals: false: layer {} has no RoPE, and llama.cpp has it in every layer of a "
         "llama; keep the Hugging Face folder",
         options.mem_layers.front());
  }
  log_warning(
      "llama.cpp has no focused memory: it will read the model as a plain LLaMA of {} tokens, the "
      "window, and remember nothing before them; longspan reads all from the Hugging Face folder",
      options.lengths.window);
}

void write_sliding_window(const ModelConfig& config, const GgufArchitecture& architecture,
                          GgufMetadata& metadata) {
  int64_t window = 0;
  bool everywhere = true;
  for (int64_t i = 0; i < config.num_hidden_layers; ++i) {
    int64_t here = config.layer(i).sliding_window;
    window = std::max(window, here);
    everywhere &= here > 0;
  }
  bool gemma = architecture.name == "gemma3";
  if (everywhere || gemma || architecture.name == "phi3") {
    metadata.set_whole(architecture.key("attention.sliding_window"), window);
  }
  if (window > 0 && window < context_length(config).usable && !gemma) {
    log_warning(
        "llama.cpp gives a {} model full attention: beyond {} tokens, the sliding window, it "
        "computes something else than transformers",
        architecture.name, window);
  }
}

}  // namespace

std::vector<GgufRopeTensor> write_gguf_config(const ModelConfig& config,
                                              const GgufArchitecture& architecture,
                                              GgufMetadata& metadata) {
  refuse_what_llama_cpp_lacks(config, architecture);
  auto set = [&](const char* name, int64_t value) {
    metadata.set_whole(architecture.key(name), value);
  };
  set("vocab_size", config.vocab_size);
  set("context_length", context_length(config).usable);
  set("embedding_length", config.hidden_size);
  set("block_count", config.num_hidden_layers);
  set("feed_forward_length", config.intermediate_size);
  set("attention.head_count", config.num_attention_heads);
  set("attention.head_count_kv", config.num_key_value_heads);
  set("attention.key_length", config.head_dim);
  set("attention.value_length", config.head_dim);
  metadata.set(architecture.key("attention.layer_norm_rms_epsilon"),
               static_cast<float>(config.rms_norm_eps));
  write_sliding_window(config, architecture, metadata);
  warn_of_lost_memory(config);
  if (config.decoder.local_rope) write_gemma3(config, architecture, metadata);
  return write_gguf_rope(config, architecture, metadata);
}

}  // namespace longspan
