#include "checkpoints/meta/meta_config.h"

#include "src/core/fields.h"
#include "src/core/log.h"
#include "src/core/text.h"
#include "src/rope/rope_scaling.h"

namespace longspan {

namespace {

constexpr int64_t kLargestSize = int64_t{1} << 24;

struct Params {
  int64_t dim = 0, n_layers = 0, n_heads = 0, n_kv_heads = 0;
  int64_t max_seq_len = 0;  // 0: not given
  double norm_eps = 0, rope_theta = 10000;
  bool use_scaled_rope = false;
};

Params read_params(const std::filesystem::path& path) {
  Json json = read_json_file(path, ExitCode::kModel);
  Diagnostics diagnostics(path.string());
  Fields fields(json, diagnostics);
  Params params;
  fields.required("dim", params.dim);
  fields.required("n_layers", params.n_layers);
  fields.required("n_heads", params.n_heads);
  fields.required("norm_eps", params.norm_eps);
  diagnostics.throw_if_any(ExitCode::kModel);
  params.n_kv_heads = params.n_heads;
  if (fields.has("n_kv_heads")) fields.optional("n_kv_heads", params.n_kv_heads);
  fields.optional("rope_theta", params.rope_theta);
  fields.optional("use_scaled_rope", params.use_scaled_rope);
  fields.optional("max_seq_len", params.max_seq_len);
  fields.in_range("dim", params.dim, 1, kLargestSize);
  fields.in_range("n_heads", params.n_heads, 1, params.dim);
  fields.in_range("n_kv_heads", params.n_kv_heads, 1, params.n_heads);
  fields.in_range("n_layers", params.n_layers, 1, kLargestSize);
  if (fields.has("quantization_args") || fields.has("lora_args")) {
    fields.error("quantization_args", "quantised weights cannot be read; use the original model");
  }
  if (fields.has("moe_args") || fields.has("vision_chunk_size")) {
    fields.error("moe_args", "this is no LLaMA of text with one MLP a layer");
  }
  diagnostics.throw_if_any(ExitCode::kModel);
  return params;
}

struct Release {
  const char* name;
  int64_t context;
  double rope_factor = 1;  // of rope_type llama3
};

/// Meta tells them apart by where they were downloaded from.
Release published(const Params& params, int64_t vocab_size) {
  if (params.use_scaled_rope) {
    if (params.dim < 4096) return {"LLaMA 3.2", 131072, 32};
    return {"LLaMA 3.1", 131072, 8};
  }
  if (vocab_size >= 128000) return {"LLaMA 3", 8192};
  if (params.rope_theta > 10000) return {"Code Llama", 16384};
  bool second = params.n_kv_heads < params.n_heads || params.norm_eps == 1e-5;
  bool first_65b = params.n_kv_heads == params.n_heads && params.n_layers == 80;
  if (second && !first_65b) return {"LLaMA 2", 4096};
  return {"LLaMA", 2048};
}

}  // namespace

Json meta_config_json(const std::filesystem::path& params_path, const MetaShape& shape) {
  Params params = read_params(params_path);
  Release release = published(params, shape.vocab_size);
  if (params.max_seq_len > 0) {
    release.context = params.max_seq_len;
  } else {
    log_warning(
        "{}: names no context length; read as {}, {} tokens (else put \"max_seq_len\" into it)",
        params_path.string(), release.name, human_count(release.context));
  }
  bool third = shape.vocab_size >= 128000;
  Json config = {{"architectures", Json::array({"LlamaForCausalLM"})},
                 {"model_type", "llama"},
                 {"vocab_size", shape.vocab_size},
                 {"hidden_size", params.dim},
                 {"intermediate_size", shape.intermediate_size},
                 {"num_hidden_layers", params.n_layers},
                 {"num_attention_heads", params.n_heads},
                 {"num_key_value_heads", params.n_kv_heads},
                 {"head_dim", params.dim / params.n_heads},
                 {"hidden_act", "silu"},
                 {"rms_norm_eps", params.norm_eps},
                 {"rope_theta", params.rope_theta},
                 {"max_position_embeddings", release.context},
                 {"tie_word_embeddings", shape.tied},
                 {"bos_token_id", third ? 128000 : 1},
                 {"eos_token_id", third ? 128001 : 2}};
  if (params.use_scaled_rope) {
    config["rope_scaling"] = {{"rope_type", "llama3"},
                              {"factor", release.rope_factor},
                              {"low_freq_factor", 1.0},
                              {"high_freq_factor", 4.0},
                              {kOriginalMaxPositionEmbeddings, 8192}};
  }
  return config;
}

}  // namespace longspan
