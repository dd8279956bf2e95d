#include <ATen/ops/equal.h>

#include <algorithm>
#include <cmath>

#include "checkpoints/peft_adapter.h"
#include "src/core/text.h"

namespace longspan {

namespace {

constexpr const char* kEmbedTokens = "model.embed_tokens.weight";
constexpr const char* kLmHead = "lm_head.weight";

/// Whether lm_head has other values than embed_tokens once the adapter is on a tied base.
bool unties(const PeftAdapter& adapter) {
  auto embeddings = adapter.tensors.find(kEmbedTokens);
  auto head = adapter.tensors.find(kLmHead);
  bool has_embeddings = embeddings != adapter.tensors.end();
  if (head == adapter.tensors.end()) return has_embeddings;
  return !has_embeddings || !at::equal(embeddings->second, head->second);
}

/// The adapter's own config; nothing when the folder had none.
std::optional<ModelConfig> extended_config(const PeftAdapter& adapter) {
  if (adapter.config_json.is_null()) return std::nullopt;
  return read_hf_config(adapter.config_json, "config.json of the adapter");
}

/// A live model keeps its rope_theta. A larger one without scaling is NTK-aware scaling stated in
/// config.json's way: rope_theta' = rope_theta factor^(D / (D - 2)).
std::shared_ptr<const RopeScaling> scaling_for(const ModelConfig& model,
                                               const ModelConfig& extended) {
  if (extended.rope_theta == model.rope_theta) return extended.rope_scaling;
  if (extended.rope_scaling->rope_type() != "default" || extended.rope_theta < model.rope_theta) {
    fail(ExitCode::kModel,
         "adapter: rope_theta {} with rope_type '{}' does not fit the base's "
         "rope_theta {}",
         extended.rope_theta, extended.rope_scaling->rope_type(), model.rope_theta);
  }
  auto dimensions = static_cast<double>(model.head_dim);
  Json keys = {
      {"rope_type", "ntk"},
      {"factor", std::pow(extended.rope_theta / model.rope_theta, (dimensions - 2) / dimensions)}};
  Diagnostics diagnostics("adapter");
  auto scaling = read_rope_scaling(Fields(keys, diagnostics));
  diagnostics.throw_if_any(ExitCode::kModel);
  return scaling;
}

/// Takes every tensor of the adapter into a parameter of its name and shape.
void load_tensors(CausalLm& model, std::map<std::string, at::Tensor> tensors) {
  std::vector<std::string> wrong;
  model.visit_parameters("", [&](const std::string& name, at::Tensor& parameter) {
    auto found = tensors.find(name);
    if (found == tensors.end()) {
      if (parameter.requires_grad()) wrong.push_back(fmt::format("'{}' is missing", name));
      return;
    }
    if (found->second.sizes() != parameter.sizes()) {
      wrong.push_back(fmt::format("'{}' is [{}], the model has [{}]", name,
                                  fmt::join(found->second.sizes(), ", "),
                                  fmt::join(parameter.sizes(), ", ")));
    } else {
      bool trained = parameter.requires_grad();
      parameter = found->second.to(parameter.options(), /*non_blocking=*/false, /*copy=*/true);
      parameter.requires_grad_(trained);
    }
    tensors.erase(found);
  });
  for (const auto& [name, tensor] : tensors) {
    wrong.push_back(fmt::format("'{}' has no place in the model", name));
  }
  if (!wrong.empty()) {
    if (wrong.size() > 20) wrong.resize(20);
    fail(ExitCode::kModel, "the adapter does not fit this base model:\n  {}", join(wrong, "\n  "));
  }
}

}  // namespace

ModelConfig adapted_config(const ModelSource& base, const PeftAdapter& adapter) {
  ModelConfig config = read_hf_config(base.config_json(), base.path().string());
  if (auto extended = extended_config(adapter)) {
    config.rope_scaling = extended->rope_scaling;
    config.rope_theta = extended->rope_theta;
    config.max_position_embeddings = extended->max_position_embeddings;
  }
  if (config.tie_word_embeddings && unties(adapter)) config.tie_word_embeddings = false;
  return config;
}

void load_peft_adapter(CausalLm& model, const PeftAdapter& adapter) {
  LoraOptions lora = adapter.lora;
  auto tensors = adapter.tensors;
  if (model.config().tie_word_embeddings) {
    if (unties(adapter)) {
      fail(ExitCode::kModel,
           "the adapter gives lm_head other values than embed_tokens, which are "
           "one tensor in this model; merge it first (longspan merge)");
    }
    tensors.erase(kLmHead);
    std::erase_if(lora.modules_to_save, [](const auto& name) { return name.ends_with("lm_head"); });
  }
  apply_lora(model, lora);
  load_tensors(model, std::move(tensors));
  if (auto extended = extended_config(adapter)) {
    model.set_rope_scaling(scaling_for(model.config(), *extended),
                           extended->max_position_embeddings);
  }
}

std::unique_ptr<CausalLm> import_adapted_model(const ModelSource& base, const PeftAdapter& adapter,
                                               const ImportOptions& options) {
  auto model = import_model(base, adapted_config(base, adapter), options);
  load_peft_adapter(*model, adapter);
  return model;
}

}  // namespace longspan
