#include "checkpoints/hf/hf_config.h"

#include <algorithm>

#include "checkpoints/dtype.h"
#include "checkpoints/hf/hf_focused_memory.h"
#include "checkpoints/hf/hf_lengths.h"
#include "checkpoints/hf/hf_rope.h"
#include "checkpoints/hf/special_tokens.h"
#include "checkpoints/model_source.h"
#include "src/core/text.h"
#include "src/model/family.h"

namespace longspan {

namespace {

/// Parts of a config that would change the results and that no family computes.
void refuse_unsupported(Fields& fields, const ModelConfig& config) {
  double part = config.decoder.partial_rotary_factor;
  fields.in_range("partial_rotary_factor", part, part, part);
  if (fields.has("quantization_config")) {
    fields.error("quantization_config", "quantised weights cannot be read; use the original model");
  }
}

bool is_known_family(const std::string& model_type) {
  const std::vector<std::string> known = model_types();
  return std::find(known.begin(), known.end(), model_type) != known.end();
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
  config.eos_token_ids = read_eos_token_ids(fields);
}

}  // namespace

ModelConfig read_hf_config(const Json& config_json, const std::string& place) {
  Diagnostics diagnostics(place);
  if (!config_json.is_object()) fail(ExitCode::kModel, "{}: config.json is no map", place);
  ModelConfig config;
  config.source = config_json;
  Fields fields(config_json, diagnostics);
  fields.required("model_type", config.model_type);
  diagnostics.throw_if_any(ExitCode::kModel);
  if (!is_known_family(config.model_type)) {
    fail(ExitCode::kModel, "{}: model_type '{}' is not known; expected one of {}", place,
         config.model_type, join(model_types(), ", "));
  }
  family_of(config.model_type).read(fields, config);
  refuse_unsupported(fields, config);
  read_special_tokens(fields, config);
  read_hf_rope(config, diagnostics);
  diagnostics.throw_if_any(ExitCode::kModel);
  return config;
}

ModelConfig read_hf_config(const ModelSource& source) {
  return read_hf_config(source.config_json(), source.path().string());
}

Json write_hf_config(const ModelConfig& config, at::ScalarType dtype) {
  Json json = config.source;
  if (!json.contains("architectures") || json.value("model_type", "") != config.model_type) {
    json["architectures"] = Json::array({family_of(config.model_type).architecture});
  }
  json.erase("auto_map");  // names Python files that are not copied
  json["model_type"] = config.model_type;
  json["vocab_size"] = config.vocab_size;
  json["hidden_size"] = config.hidden_size;
  json["intermediate_size"] = config.intermediate_size;
  json["num_hidden_layers"] = config.num_hidden_layers;
  json["num_attention_heads"] = config.num_attention_heads;
  json["num_key_value_heads"] = config.num_key_value_heads;
  json["head_dim"] = config.head_dim;
  json["rms_norm_eps"] = config.rms_norm_eps;
  json["tie_word_embeddings"] = config.tie_word_embeddings;
  json["max_position_embeddings"] = config.max_position_embeddings;
  write_length_keys(json, config);
  write_hf_rope(json, config);
  write_special_tokens(json, config);
  write_focused_memory(json, config);
  // The key of transformers 4 and that of 5.
  for (const char* key : {"torch_dtype", "dtype"}) json[key] = torch_dtype(dtype);
  return json;
}

}  // namespace longspan
