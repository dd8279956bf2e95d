#include "checkpoints/adapters/adapted_model.h"

#include <ATen/ops/equal.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "checkpoints/adapters/adapted_tensor.h"
#include "checkpoints/adapters/merge.h"
#include "checkpoints/hf/hf_config.h"
#include "checkpoints/hf/hf_importer.h"
#include "checkpoints/tensor_names.h"
#include "src/core/text.h"
#include "src/model/apply_lora.h"

namespace longspan {

namespace {

/// Whether lm_head has other values than embed_tokens once the adapter is on a tied base.
bool unties(const PeftAdapter& adapter) {
  for (const auto& [name, tensor] : adapter.tensors) {
    auto part = lora_part(name);
    if (part && (part->module == "lm_head" || part->module == "model.embed_tokens")) return true;
  }
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
  config.max_position_embeddings = length;
}

/// More embeddings than the base has come from added tokens.
void grow_vocabulary(ModelConfig& config, const PeftAdapter& adapter, const std::string& base) {
  auto embeddings = adapter.tensors.find(kEmbedTokens);
  if (embeddings == adapter.tensors.end() || embeddings->second.dim() != 2) return;
  int64_t rows = embeddings->second.size(0);
  if (rows <= config.vocab_size) return;
  bool has_head = config.tie_word_embeddings || adapter.tensors.contains(kLmHead);
  if (!has_head && !adapter.is_longlora) {
    fail(ExitCode::kModel,
         "{}: has {} embeddings, the adapter {}, and saves no lm_head of as many rows", base,
         config.vocab_size, rows);
  }
  config.vocab_size = rows;
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
      wrong.push_back(fmt::format("'{}' is [{}], expected [{}]", name,
                                  fmt::join(found->second.sizes(), ", "),
                                  fmt::join(parameter.sizes(), ", ")));
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
    if (wrong.size() > 20) wrong.resize(20);
    fail(ExitCode::kModel, "the adapter does not fit this base model:\n  {}", join(wrong, "\n  "));
  }
}

}  // namespace

ModelConfig adapted_config(const ModelSource& base, const PeftAdapter& adapter) {
  std::string place = base.path().string();
  ModelConfig config = read_hf_config(base);
  if (!adapter.config_json.is_null()) {
    ModelConfig extended = read_hf_config(adapter.config_json, "config.json of the adapter");
    config.rope_scaling = extended.rope_scaling;
    config.rope_theta = extended.rope_theta;
    config.max_position_embeddings = extended.max_position_embeddings;
  } else if (adapter.longlora_context) {
    extend_as_longlora(config, *adapter.longlora_context, place);
  }
  grow_vocabulary(config, adapter, place);
  if (config.tie_word_embeddings && unties(adapter)) config.tie_word_embeddings = false;
  return config;
}

std::unique_ptr<CausalLm> import_adapted_model(const ModelSource& base, const PeftAdapter& adapter,
                                               const ImportOptions& options) {
  ModelConfig config = adapted_config(base, adapter);
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
    if (!lora_part(name) && name.ends_with(".weight") && !tied_head) {
      lora.modules_to_save.push_back(name.substr(0, name.rfind('.')));
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
