#include "checkpoints/gguf_config.h"

#include <algorithm>
#include <cmath>

#include "src/rope/rope_scaling.h"

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

/// Llama 3.1's scaling travels as the tensor rope_freqs: what each frequency is divided by. Its
/// parameters are those Meta published, or they cannot be told from the tensor.
Json llama3_scaling(const GgufReader& gguf, const GgufTensor& freqs, const RopeGeometry& geometry) {
  at::Tensor stored = gguf.tensor(freqs);
  const auto* divisors =
      stored.scalar_type() == at::kFloat ? stored.const_data_ptr<float>() : nullptr;
  std::vector<double> unscaled = unscaled_inv_freq(geometry);
  if (!divisors || freqs.elements != static_cast<int64_t>(unscaled.size())) {
    fail(ExitCode::kModel, "{}: rope_freqs.weight has {} elements of {}, expected {} of F32",
         gguf.place(), freqs.elements, freqs.type->name, unscaled.size());
  }
  double factor = *std::max_element(divisors, divisors + freqs.elements);
  Json keys = {{"rope_type", "llama3"},
               {"factor", factor},
               {"low_freq_factor", 1.0},
               {"high_freq_factor", 4.0},
               {"original_max_position_embeddings", 8192}};
  Diagnostics diagnostics(gguf.place());
  auto scaling = read_rope_scaling(Fields(keys, diagnostics, "rope_freqs"));
  diagnostics.throw_if_any(ExitCode::kModel);
  RopeFrequencies scaled = scaling->frequencies(geometry, geometry.max_position_embeddings);
  for (size_t i = 0; i < unscaled.size(); ++i) {
    double expected = unscaled[i] / scaled.inv_freq[i];
    if (!(std::abs(divisors[i] - expected) <= 1e-3 * expected)) {
      fail(ExitCode::kModel,
           "{}: rope_freqs.weight is not Llama 3.1's scaling (entry {} is {}, "
           "expected {}); convert from the original Hugging Face folder",
           gguf.place(), i, divisors[i], expected);
    }
  }
  return keys;
}

/// The rope_scaling entry; null when there is none.
Json rope_scaling_of(const GgufReader& gguf, const RopeGeometry& geometry) {
  if (const GgufTensor* freqs = gguf.find("rope_freqs.weight")) {
    return llama3_scaling(gguf, *freqs, geometry);
  }
  std::string type = gguf.text("llama.rope.scaling.type", "none");
  double factor =
      gguf.number("llama.rope.scaling.factor", gguf.number("llama.rope.scale_linear", 1.0));
  if (type == "none" && gguf.value("llama.rope.scale_linear")) type = "linear";
  if (type == "none" || (type == "linear" && factor == 1.0)) return nullptr;
  if ((type != "linear" && type != "yarn") ||
      gguf.number("llama.rope.scaling.attn_factor", 1.0) != 1.0) {
    fail(ExitCode::kModel,
         "{}: RoPE scaling '{}' cannot be converted; expected linear or yarn "
         "without attn_factor; convert from the original Hugging Face folder",
         gguf.place(), type);
  }
  Json scaling = {{"rope_type", type}, {"factor", factor}};
  if (type == "yarn") {
    scaling["original_max_position_embeddings"] =
        gguf.integer("llama.rope.scaling.original_context_length");
    for (auto [key, ours] : {std::pair("llama.rope.scaling.yarn_beta_fast", "beta_fast"),
                             std::pair("llama.rope.scaling.yarn_beta_slow", "beta_slow")}) {
      if (gguf.value(key)) scaling[ours] = gguf.number(key);
    }
  }
  return scaling;
}

}  // namespace

Json gguf_config_json(const GgufReader& gguf) {
  std::string architecture = gguf.text("general.architecture");
  if (architecture != "llama") {
    fail(ExitCode::kModel, "{}: architecture '{}' is not supported; expected llama", gguf.place(),
         architecture);
  }
  const GgufTensor* embeddings = gguf.find("token_embd.weight");
  if (!embeddings || embeddings->shape.size() != 2) {
    fail(ExitCode::kModel, "{}: has no matrix token_embd.weight", gguf.place());
  }
  int64_t hidden_size = gguf.integer("llama.embedding_length");
  int64_t heads = same_in_all_layers(gguf, "llama.attention.head_count", 0);
  if (heads < 1) {
    fail(ExitCode::kModel, "{}: llama.attention.head_count is {}", gguf.place(), heads);
  }
  RopeGeometry geometry;
  geometry.head_dim = gguf.integer("llama.attention.key_length", hidden_size / heads);
  geometry.rope_theta = gguf.number("llama.rope.freq_base", 10000.0);
  geometry.max_position_embeddings = gguf.integer("llama.context_length");
  if (gguf.integer("llama.rope.dimension_count", geometry.head_dim) != geometry.head_dim) {
    fail(ExitCode::kModel,
         "{}: rotates a part of each head only (rope.dimension_count), which is "
         "not supported",
         gguf.place());
  }

  Json config = {{"architectures", {"LlamaForCausalLM"}}, {"model_type", "llama"}};
  config["vocab_size"] = embeddings->shape[0];
  config["hidden_size"] = hidden_size;
  config["intermediate_size"] = same_in_all_layers(gguf, "llama.feed_forward_length", 0);
  config["num_hidden_layers"] = gguf.integer("llama.block_count");
  config["num_attention_heads"] = heads;
  config["num_key_value_heads"] = same_in_all_layers(gguf, "llama.attention.head_count_kv", heads);
  config["head_dim"] = geometry.head_dim;
  config["hidden_act"] = "silu";
  config["rms_norm_eps"] = gguf.number("llama.attention.layer_norm_rms_epsilon");
  config["attention_bias"] = gguf.find("blk.0.attn_q.bias") != nullptr;
  config["mlp_bias"] = gguf.find("blk.0.ffn_up.bias") != nullptr;
  config["tie_word_embeddings"] = gguf.find("output.weight") == nullptr;
  config["initializer_range"] = 0.02;
  config["use_cache"] = true;
  config["max_position_embeddings"] = geometry.max_position_embeddings;
  config["rope_theta"] = geometry.rope_theta;
  Json scaling = rope_scaling_of(gguf, geometry);
  if (!scaling.is_null()) config["rope_scaling"] = std::move(scaling);
  for (auto [key, ours] : {std::pair("tokenizer.ggml.bos_token_id", "bos_token_id"),
                           std::pair("tokenizer.ggml.eos_token_id", "eos_token_id"),
                           std::pair("tokenizer.ggml.padding_token_id", "pad_token_id")}) {
    if (gguf.value(key)) config[ours] = gguf.integer(key);
  }
  return config;
}

}  // namespace longspan
