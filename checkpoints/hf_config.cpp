#include <algorithm>

#include "checkpoints/dtype.h"
#include "checkpoints/model_source.h"

namespace longspan {

namespace {

constexpr int64_t kLargest = int64_t{1} << 31;  // of any size in a config: products stay in int64

void read_sizes(Fields& fields, ModelConfig& config) {
  auto size = [&](const char* key, int64_t& value) {
    if (value == 0 && !fields.has(key)) return fields.error(key, "is missing");
    fields.in_range(key, value, 1, kLargest);
  };
  size("vocab_size", config.vocab_size);
  size("hidden_size", config.hidden_size);
  size("intermediate_size", config.intermediate_size);
  size("num_hidden_layers", config.num_hidden_layers);
  size("num_attention_heads", config.num_attention_heads);
  config.num_key_value_heads = config.num_attention_heads;
  size("num_key_value_heads", config.num_key_value_heads);
  config.max_position_embeddings = 2048;  // LlamaConfig's default
  size("max_position_embeddings", config.max_position_embeddings);

  int64_t heads = std::max<int64_t>(config.num_attention_heads, 1);
  config.head_dim = config.hidden_size / heads;
  if (fields.has("head_dim")) fields.in_range("head_dim", config.head_dim, 2, kLargest);
  if (heads % std::max<int64_t>(config.num_key_value_heads, 1) != 0) {
    fields.error("num_key_value_heads", fmt::format("{} does not divide the {} attention heads",
                                                    config.num_key_value_heads, heads));
  }
  if (config.head_dim % 2 != 0) {
    fields.error("head_dim", fmt::format("{} is odd; RoPE wants pairs", config.head_dim));
  }
}

/// Parts of a config that would change the results and that we do not compute.
void refuse_unsupported(Fields& fields, const ModelConfig& config) {
  std::string hidden_act = "silu";
  fields.choice("hidden_act", hidden_act, {"silu", "swish"});
  double partial_rotary_factor = 1.0;
  fields.in_range("partial_rotary_factor", partial_rotary_factor, 1.0, 1.0);
  if (fields.has("quantization_config")) {
    fields.error("quantization_config", "quantised weights cannot be read; use the original model");
  }
  int64_t sliding_window = 0;
  fields.optional("sliding_window", sliding_window);
  if (sliding_window > 0 && sliding_window < config.max_position_embeddings) {
    fields.error("sliding_window", fmt::format("{} below max_position_embeddings {} is not "
                                               "supported; expected null",
                                               sliding_window, config.max_position_embeddings));
  }
}

void read_special_tokens(Fields& fields, ModelConfig& config) {
  auto token = [&](const char* key) -> std::optional<int64_t> {
    if (!fields.has(key)) return std::nullopt;
    int64_t id = 0;
    fields.optional(key, id);
    return id;
  };
  config.bos_token_id = token("bos_token_id");
  config.pad_token_id = token("pad_token_id");
  Json eos;
  fields.optional("eos_token_id", eos);
  if (eos.is_array()) {
    fields.optional("eos_token_id", config.eos_token_ids);
  } else if (auto id = token("eos_token_id")) {
    config.eos_token_ids = {*id};
  }
}

struct Rope {
  std::shared_ptr<const RopeScaling> scaling;
  double theta = 10000.0;
};

/// One of the two styles. A top-level original_max_position_embeddings (Phi-3, and for llama.cpp's
/// converter) belongs to both.
Rope read_rope(const Json& root, const char* key, const ModelConfig& config,
               Diagnostics& diagnostics) {
  constexpr const char* kOriginal = "original_max_position_embeddings";
  Json map = root.contains(key) ? root[key] : Json();
  if (map.is_object() && !map.contains(kOriginal) && root.contains(kOriginal)) {
    std::string type = map.value("rope_type", map.value("type", "default"));
    // The formulas that transformers gives it to.
    if (type == "yarn" || type == "llama3" || type == "longrope") map[kOriginal] = root[kOriginal];
  }
  map = complete_rope_parameters(std::move(map), config.max_position_embeddings);
  Rope rope;
  Fields(root, diagnostics).optional("rope_theta", rope.theta);
  rope.scaling = read_rope_scaling(Fields(map, diagnostics, key), &rope.theta);
  return rope;
}

void read_rope_styles(const Json& root, Diagnostics& diagnostics, ModelConfig& config) {
  auto present = [&](const char* key) { return root.contains(key) && !root[key].is_null(); };
  bool modern = present("rope_parameters");
  Rope rope = read_rope(root, modern ? "rope_parameters" : "rope_scaling", config, diagnostics);
  config.rope_scaling = rope.scaling;
  config.rope_theta = rope.theta;
  if (!modern || !diagnostics.empty()) return;

  // What the older style says as well must be the same.
  Rope other = rope;
  if (present("rope_scaling")) other = read_rope(root, "rope_scaling", config, diagnostics);
  other.theta = rope.theta;
  Fields(root, diagnostics).optional("rope_theta", other.theta);
  if (!diagnostics.empty()) return;
  RopeGeometry geometry = config.rope_geometry();
  Json ours = rope.scaling->config_entry(geometry);
  geometry.rope_theta = other.theta;
  Json theirs = other.scaling->config_entry(geometry);
  if (ours != theirs) {
    diagnostics.error("rope_parameters", fmt::format("{} contradicts rope_theta and rope_scaling, "
                                                     "which say {}; remove one",
                                                     ours.dump(), theirs.dump()));
  }
}

std::string architecture_of(const std::string& model_type) {
  return model_type == "mistral" ? "MistralForCausalLM" : "LlamaForCausalLM";
}

void write_rope(Json& json, const ModelConfig& config) {
  constexpr const char* kOriginal = "original_max_position_embeddings";
  for (const char* key : {"rope_scaling", "rope_parameters", kOriginal}) json.erase(key);
  Json entry = config.rope_scaling->config_entry(config.rope_geometry());
  // llama.cpp's converter looks for it here.
  if (entry.contains(kOriginal)) json[kOriginal] = entry[kOriginal];
  json["rope_parameters"] = entry;
  json["rope_theta"] = entry["rope_theta"];
  entry.erase("rope_theta");
  if (entry["rope_type"] != "default") json["rope_scaling"] = entry;
}

}  // namespace

ModelConfig read_hf_config(const Json& config_json, const std::string& place) {
  Diagnostics diagnostics(place);
  if (!config_json.is_object()) fail(ExitCode::kModel, "{}: config.json is no map", place);
  Fields fields(config_json, diagnostics);
  ModelConfig config;
  fields.required("model_type", config.model_type);
  read_sizes(fields, config);
  config.rms_norm_eps = 1e-6;  // LlamaConfig's default
  fields.in_range("rms_norm_eps", config.rms_norm_eps, 0.0, 1.0);
  fields.optional("attention_bias", config.attention_bias);
  fields.optional("mlp_bias", config.mlp_bias);
  fields.optional("tie_word_embeddings", config.tie_word_embeddings);
  refuse_unsupported(fields, config);
  read_special_tokens(fields, config);
  read_rope_styles(config_json, diagnostics, config);
  diagnostics.throw_if_any(ExitCode::kModel);
  config.source = config_json;
  return config;
}

Json write_hf_config(const ModelConfig& config, at::ScalarType dtype) {
  Json json = config.source;
  if (!json.contains("architectures") || json.value("model_type", "") != config.model_type) {
    json["architectures"] = Json::array({architecture_of(config.model_type)});
  }
  json["model_type"] = config.model_type;
  json["vocab_size"] = config.vocab_size;
  json["hidden_size"] = config.hidden_size;
  json["intermediate_size"] = config.intermediate_size;
  json["num_hidden_layers"] = config.num_hidden_layers;
  json["num_attention_heads"] = config.num_attention_heads;
  json["num_key_value_heads"] = config.num_key_value_heads;
  json["head_dim"] = config.head_dim;
  json["hidden_act"] = json.value("hidden_act", "silu");
  json["rms_norm_eps"] = config.rms_norm_eps;
  json["attention_bias"] = config.attention_bias;
  json["mlp_bias"] = config.mlp_bias;
  json["tie_word_embeddings"] = config.tie_word_embeddings;
  json["max_position_embeddings"] = config.max_position_embeddings;
  write_rope(json, config);
  if (config.bos_token_id) json["bos_token_id"] = *config.bos_token_id;
  if (config.pad_token_id) json["pad_token_id"] = *config.pad_token_id;
  if (config.eos_token_ids.size() == 1) json["eos_token_id"] = config.eos_token_ids[0];
  if (config.eos_token_ids.size() > 1) json["eos_token_id"] = config.eos_token_ids;
  json["dtype"] = json["torch_dtype"] = torch_dtype(dtype);  // transformers 5 and 4
  return json;
}

}  // namespace longspan
