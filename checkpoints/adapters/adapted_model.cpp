#include "checkpoints/adapters/adapted_model.h"

#include <ATen/ops/equal.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <set>

#include "checkpoints/adapters/adapted_tensor.h"
#include "checkpoints/adapters/merge.h"
#include "checkpoints/adapters/trainable_tokens.h"
#include "checkpoints/hf/hf_config.h"
#include "checkpoints/hf/hf_focused_memory.h"
#include "checkpoints/hf/hf_importer.h"
#include "checkpoints/tensor_names.h"
#include "src/core/error.h"
#include "src/model/apply_lora.h"

namespace longspan {

namespace {

/// Whether lm_head has other values than embed_tokens once the adapter is on a tied base.
bool unties(const PeftAdapter& adapter) {
  for (const auto& [name, tensor] : adapter.tensors) {
    auto part = lora_part(name);
    if (part && (part->module == "lm_head" || part->module == "model.embed_tokens")) return true;
  }
  if (!trains_tokens_alike(adapter)) return true;
  auto embeddings = adapter.tensors.find(kEmbedTokens);
  auto head = adapter.tensors.find(kLmHead);
  bool has_embeddings = embeddings != adapter.tensors.end();
  // trainable_params.bin is loaded into the base, where lm_head and embed_tokens are one tensor.
  if (head == adapter.tensors.end()) return has_embeddings && !adapter.is_longlora;
  return !has_embeddings || !at::equal(embeddings->second, head->second);
}

/// LongLoRA's position interpolation: factor ceil(length / max_position_embeddings).
void extend_as_longlora(ModelConfig& config, int64_t length, const std::string& base) {
  if (config.rope_scaling->rope_type() != "default") {
    fail(ExitCode::kModel,
         "{}: its RoPE is scaled already ({}) and the adapter was trained by LongLoRA for {} "
         "tokens; put the config.json that is meant beside the adapter",
         base, config.rope_scaling->rope_type(), length);
  }
  if (length <= config.max_position_embeddings) return;
  double factor = std::ceil(double(length) / double(config.max_position_embeddings));
  Json keys = {{"rope_type", "linear"}, {"factor", factor}};
  Diagnostics diagnostics("adapter");
  config.rope_scaling = read_rope_scaling(Fields(keys, diagnostics));
  diagnostics.throw_if_any(ExitCode::kModel);
  config.original_max_position_embeddings = config.max_position_embeddings;
  config.max_position_embeddings = length;
}

/// Rows of the embeddings that the adapter saves; nothing where it saves none.
std::optional<int64_t> saved_rows(const PeftAdapter& adapter) {
  for (const char* name : {kEmbedTokens, kLmHead}) {
    auto found = adapter.tensors.find(name);
    if (found != adapter.tensors.end() && found->second.dim() == 2) return found->second.size(0);
  }
  return std::nullopt;
}

/// More embeddings than the base has come from added tokens, fewer from a base that was cut to its
/// tokenizer's size before training.
void resize_vocabulary(ModelConfig& config, const PeftAdapter& adapter, const std::string& base) {
  const int64_t rows = saved_rows(adapter).value_or(config.vocab_size);
  const bool has_both = adapter.tensors.contains(kEmbedTokens) &&
                        (config.tie_word_embeddings || adapter.tensors.contains(kLmHead));
  if (rows > config.vocab_size && !has_both && !adapter.is_longlora) {
    fail(ExitCode::kModel, "{}: has {} embeddings, the adapter {}, and saves no {} of as many rows",
         base, config.vocab_size, rows,
         adapter.tensors.contains(kLmHead) ? "embed_tokens" : "lm_head");
  }
  config.vocab_size = rows;
}

/// The base's config.json with the context, RoPE and focused memory that the adapter's says. One
/// without any key of RoPE, as that of a model whose text part has a map of its own, says no RoPE.
Json with_context_of(const Json& adapter_config, Json base) {
  if (!adapter_config.is_object()) {
    fail(ExitCode::kModel, "config.json of the adapter: is no map");
  }
  constexpr const char* kRopeKeys[] = {
      "rope_theta",           "rope_scaling",          "rope_parameters",
      "rope_local_base_freq", "partial_rotary_factor", kOriginalMaxPositionEmbeddings};
  const auto is_stated = [&](const char* key) { return adapter_config.contains(key); };
  if (std::any_of(std::begin(kRopeKeys), std::end(kRopeKeys), is_stated)) {
    for (const char* key : kRopeKeys) {
      base.erase(key);
      if (is_stated(key)) base[key] = adapter_config[key];
    }
  }
  constexpr const char* kLength = "max_position_embeddings";
  if (adapter_config.contains(kLength)) base[kLength] = adapter_config[kLength];
  if (adapter_config.value("model_type", Json()) == "longllama") {
    base["model_type"] = "longllama";
    for (const char* key : kFocusedMemoryKeys) {
      if (adapter_config.contains(key)) base[key] = adapter_config[key];
    }
  }
  return base;
}

/// Whether `name` is LoRA of a projection, which stays apart from its weight.
bool stays_apart(const std::string& name, const std::set<std::string>& projections) {
  auto part = lora_part(name);
  return part && part->part != "lora_B.bias" && projections.contains(part->module);
}

/// Takes each part of LoRA into its parameter.
void load_lora(CausalLm& model, std::map<std::string, at::Tensor> parts) {
  std::vector<std::string> wrong;
  model.visit_parameters("", [&](const std::string& name, at::Tensor& parameter) {
    if (!lora_part(name)) return;
    auto found = parts.find(name);
    if (found == parts.end()) {
      wrong.push_back(fmt::format("'{}' is missing", name));
      return;
    }
    if (found->second.sizes() != parameter.sizes()) {
      wrong.push_back(fmt::format("'{}' is {}, expected {}", name,
                                  shape_text(found->second.sizes()),
                                  shape_text(parameter.sizes())));
    } else {
      parameter = found->second.to(parameter.options(), /*non_blocking=*/false, /*copy=*/true)
                      .requires_grad_(true);
    }
    parts.erase(found);
  });
  for (const auto& [name, tensor] : parts) {
    wrong.push_back(fmt::format("'{}' has no place in the model", name));
  }
  if (!wrong.empty()) {
    fail(ExitCode::kModel, "the adapter does not fit this base model:\n  {}",
         fmt::join(fault_lines(wrong), "\n  "));
  }
}

}  // namespace

ModelConfig adapted_config(const ModelSource& base, const PeftAdapter& adapter) {
  std::string place = base.path().string();
  ModelConfig config = read_hf_config(base);
  if (!adapter.config_json.is_null()) {
    ModelConfig extended = read_hf_config(with_context_of(adapter.config_json, config.source),
                                          "config.json of the adapter");
    if (extended.attention) config.attention = extended.attention;
    config.rope_scaling = extended.rope_scaling;
    config.rope_theta = extended.rope_theta;
    config.max_position_embeddings = extended.max_position_embeddings;
    config.original_max_position_embeddings = extended.original_max_position_embeddings;
  } else if (adapter.longlora_context) {
    extend_as_longlora(config, *adapter.longlora_context, place);
  }
  resize_vocabulary(config, adapter, place);
  if (config.tie_word_embeddings && unties(adapter)) config.tie_word_embeddings = false;
  return config;
}

std::unique_ptr<CausalLm> import_adapted_model(const ModelSource& base, const PeftAdapter& adapter,
                                               const ImportOptions& options) {
  ModelConfig config = adapted_config(base, adapter);
  if (adapter.lora.none) return import_model(*merged_source(base, adapter), config, options);
  std::set<std::string> projections;
  make_causal_lm(config)->visit_linears(
      [&](const std::string& name, std::unique_ptr<Linear>&) { projections.insert(name); });
  PeftAdapter merged = adapter;
  LoraOptions lora = adapter.lora;
  lora.target_modules.clear();
  lora.modules_to_save.clear();
  std::map<std::string, at::Tensor> apart;
  for (const auto& [name, tensor] : adapter.tensors) {
    const bool tied_head = name == kLmHead && config.tie_word_embeddings;
    const std::string saved = name.substr(0, name.rfind('.'));
    const bool quantised =
        options.quantization != Quantization::kNone && projections.contains(saved);
    if (!lora_part(name) && name.ends_with(".weight") && !tied_head && !quantised) {
      lora.modules_to_save.push_back(saved);
    }
    if (!stays_apart(name, projections)) continue;
    apart[name] = tensor;
    merged.tensors.erase(name);
    std::string module = lora_part(name)->module;
    if (lora.target_modules.empty() || lora.target_modules.back() != module) {
      lora.target_modules.push_back(module);
    }
  }
  auto model = import_model(*merged_source(base, merged), config, options);
  apply_lora(*model, lora);
  load_lora(*model, std::move(apart));
  return model;
}

}  // namespace longspan
