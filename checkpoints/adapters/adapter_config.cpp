#include "checkpoints/adapters/adapter_config.h"

#include <algorithm>
#include <set>

#include "checkpoints/adapters/adapted_tensor.h"
#include "checkpoints/adapters/trainable_tokens.h"
#include "src/core/fields_reader.h"
#include "src/core/full_match.h"
#include "src/core/text.h"

namespace longspan {

namespace {

/// Keys that change the result in ways we do not compute; each must be absent, null, false or
/// empty. (fan_in_fan_out is none: PEFT takes it for false at every nn.Linear.)
constexpr const char* kUnsupported[] = {
    "use_qalora",  "target_parameters",       "layer_replication",
    "use_bdlora",  "alora_invocation_tokens", "arrow_config",
    "kasa_config", "velora_config",           "monteclora_config"};

/// Starts of init_lora_weights that change the base's weights; PEFT does so again at loading.
constexpr const char* kBaseChanging[] = {"pissa", "olora", "corda", "loftq", "lora_ga"};

bool says_nothing(const Json& value) {
  return value.is_null() || value == false ||
         ((value.is_object() || value.is_array()) && value.empty());
}

void refuse_unsupported(const Json& json, Fields& fields) {
  for (const char* key : kUnsupported) {
    if (fields.has(key) && !says_nothing(json[key])) {
      fields.error(key, fmt::format("{} is not supported", json[key].dump()));
    }
  }
  const char* key = "init_lora_weights";
  if (fields.has(key) && json[key].is_string()) {
    auto start = json[key].get<std::string>();
    for (const char* changing : kBaseChanging) {
      if (!start.starts_with(changing)) continue;
      fields.error(key, fmt::format("'{}' changes the base's weights and is not supported; save "
                                    "the adapter converted to LoRA, by PEFT's "
                                    "path_initial_model_for_weight_conversion",
                                    start));
    }
  }
  if (fields.has("use_dora") && json["use_dora"] == true && fields.has("lora_bias") &&
      json["lora_bias"] == true) {
    fields.error("lora_bias", "is not supported together with use_dora");
  }
}

/// The names of the adapted modules.
std::set<std::string> adapted_names(const std::map<std::string, at::Tensor>& tensors) {
  std::set<std::string> names;
  for (const auto& [name, tensor] : tensors) {
    if (auto part = lora_part(name)) names.insert(part->module);
  }
  return names;
}

/// The last part of each.
std::vector<std::string> adapted_modules(const std::map<std::string, at::Tensor>& tensors) {
  std::set<std::string> modules;
  for (const auto& name : adapted_names(tensors)) modules.insert(name.substr(name.rfind('.') + 1));
  return {modules.begin(), modules.end()};
}

/// target_modules or exclude_modules: a regular expression for the whole name, or a list of names.
bool names_module(const Json& names, const std::string& module, const std::string& key) {
  if (names.is_string()) return full_match(names.get<std::string>(), module, key);
  if (!names.is_array()) return false;
  return std::any_of(names.begin(), names.end(), [&](const Json& name) {
    return name.is_string() && is_target(module, name.get<std::string>());
  });
}

bool is_number(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == text.npos;
}

/// The modules of transformers' model that hold `adapted` ones or lie beside them, and are no
/// projections.
std::set<std::string> modules_around(const std::set<std::string>& adapted) {
  std::set<std::string> around{"model.embed_tokens", "model.norm", "model.rotary_emb", "lm_head"};
  for (const auto& name : adapted) {
    for (size_t dot = name.find('.'); dot != name.npos; dot = name.find('.', dot + 1)) {
      const std::string holder = name.substr(0, dot);
      if (!around.insert(holder).second || !is_number(holder.substr(holder.rfind('.') + 1))) {
        continue;
      }
      for (const char* part :
           {"self_attn", "self_attn.q_norm", "self_attn.k_norm", "mlp", "mlp.act_fn",
            "mlp.activation_fn", "input_layernorm", "post_attention_layernorm",
            "pre_feedforward_layernorm", "post_feedforward_layernorm"}) {
        around.insert(fmt::format("{}.{}", holder, part));
      }
    }
  }
  return around;
}

/// A regular expression as PEFT may have it: it would adapt, or refuse, whatever else the
/// expression is the whole name of, and then gets the adapted modules by name.
nlohmann::json targets_for_peft(const std::string& pattern,
                                const std::map<std::string, at::Tensor>& tensors) {
  const auto adapted = adapted_names(tensors);
  const auto around = modules_around(adapted);
  const bool reaches_others = std::any_of(around.begin(), around.end(), [&](const auto& module) {
    return full_match(pattern, module, "target_modules");
  });
  return reaches_others ? nlohmann::json(adapted) : nlohmann::json(pattern);
}

/// layers_to_transform, one number or a list, against the last "NAME.N." in the module's name; NAME
/// must be one of layers_pattern, if any. A module that target_modules has by its whole name is not
/// asked.
bool is_of_transformed_layer(const Json& json, const std::string& module,
                             const std::string& place) {
  const Json layers = json.value("layers_to_transform", Json());
  const Json& targets = json["target_modules"];
  if (says_nothing(layers) || !targets.is_array()) return true;
  if (std::find(targets.begin(), targets.end(), module) != targets.end()) return true;
  const Json named = json.value("layers_pattern", Json());
  const Json patterns = says_nothing(named) || named.is_array() ? named : Json::array({named});
  const std::vector<std::string> parts = split(module, '.');
  for (size_t end = parts.size(); end > 3; --end) {
    const std::string &list = parts[end - 3], &number = parts[end - 2];
    const auto names_this = [&](const Json& pattern) {
      return pattern.is_string() &&
             full_match(pattern.get<std::string>(), list, place + ": layers_pattern");
    };
    const bool named_here =
        says_nothing(patterns) || std::any_of(patterns.begin(), patterns.end(), names_this);
    if (!is_number(number) || !named_here) continue;
    const auto is_this = [&](const Json& layer) { return layer.dump() == number; };
    return layers.is_array() ? std::any_of(layers.begin(), layers.end(), is_this) : is_this(layers);
  }
  return false;
}

/// The module that shares the weight of `module` in a tied model, which ensure_weight_tying adapts
/// along with it; "" for others.
std::string tied_with(const std::string& module) {
  if (module == "lm_head") return "model.embed_tokens";
  return module == "model.embed_tokens" ? "lm_head" : "";
}

/// The key by which PEFT leaves the module out, or null
/// (peft.tuners.tuners_utils.check_target_module_exists).
const char* key_leaving_out(const Json& json, const std::string& module, const std::string& place) {
  const auto names_it = [&](const char* key, const std::string& name) {
    return names_module(json.value(key, Json()), name, fmt::format("{}: {}", place, key));
  };
  const auto names = [&](const char* key) { return names_it(key, module); };
  const std::string tied =
      json.value("ensure_weight_tying", Json()) == true ? tied_with(module) : "";
  const Json& targets = json["target_modules"];
  const bool all_linear = targets.is_string() && is_all_linear(targets.get<std::string>());
  const bool targeted =
      all_linear || names("target_modules") || (!tied.empty() && names_it("target_modules", tied));
  if (!targeted) return "target_modules";
  if (!is_of_transformed_layer(json, module, place)) return "layers_to_transform";
  return names("exclude_modules") ? "exclude_modules" : nullptr;
}

/// PEFT says nothing, or warns, where it leaves out a tensor of the file.
void require_targeted(const Json& json, const std::map<std::string, at::Tensor>& tensors,
                      const std::string& place, Fields& fields) {
  if (says_nothing(json.value("target_modules", Json()))) return;
  for (const auto& [name, tensor] : tensors) {
    const auto part = lora_part(name);
    const char* key = part ? key_leaving_out(json, part->module, place) : nullptr;
    if (!key) continue;
    return fields.error(key, fmt::format("{} leaves out the module of tensor '{}', which PEFT "
                                         "would not load; mend the key or remove the tensor",
                                         json[key].dump(), name));
  }
}

/// The largest rank that the tensors can have: LoRA's are made before the file's take their place,
/// so a claim beyond them must not be believed. Where rank_pattern overrides r, r may be another.
int64_t largest_rank(const std::map<std::string, at::Tensor>& tensors, bool overridden) {
  int64_t largest = 0;
  for (const auto& [name, tensor] : tensors) {
    if (name.ends_with(".lora_A.weight") && tensor.dim() > 0) {
      largest = std::max(largest, tensor.size(0));
    }
  }
  return overridden || largest == 0 ? std::max<int64_t>(largest, 4096) : largest;
}

}  // namespace

void read_adapter_config(const Json& json, const std::string& place, PeftAdapter& adapter) {
  const auto& tensors = adapter.tensors;
  Diagnostics diagnostics(place);
  Fields fields(json, diagnostics);
  std::string peft_type = "LORA", bias = "none";
  fields.choice("peft_type", peft_type, {"LORA", "TRAINABLE_TOKENS"});
  fields.choice("bias", bias, {"none", "all", "lora_only"});  // the tensors carry them
  refuse_unsupported(json, fields);
  LoraOptions options;
  options.lora_alpha = 8;  // PEFT's default
  bool overridden = fields.has("rank_pattern") && !says_nothing(json["rank_pattern"]);
  int64_t largest = largest_rank(tensors, overridden);
  if (fields.has("r") || options.r <= largest) {
    fields.in_range("r", options.r, 1, largest);
  } else {
    fields.error("r", fmt::format("is missing; the tensors have rank {}", largest));
  }
  fields.in_range("lora_alpha", options.lora_alpha, -1e9, 1e9);
  fields.optional("use_rslora", options.use_rslora);
  fields.optional("use_dora", options.use_dora);
  FieldsReader reader(fields);
  lora_pattern_fields(reader, largest, options);
  // lora_dropout acts in PEFT's training only.
  options.modules_to_save.clear();
  fields.optional("modules_to_save", options.modules_to_save);
  if (json.is_object() && json.contains("target_modules") && json["target_modules"].is_array()) {
    fields.optional("target_modules", options.target_modules);
  } else {
    options.target_modules = adapted_modules(tensors);
  }
  if (json.is_object()) {
    require_targeted(json, tensors, place, fields);
    adapter.trainable_tokens = read_trainable_tokens(json, tensors, fields);
  }
  diagnostics.throw_if_any(ExitCode::kModel);
  adapter.lora = std::move(options);
}

Json write_adapter_config(const PeftAdapter& adapter, bool saves_tied_head) {
  const LoraOptions& lora = adapter.lora;
  std::vector<std::string> saved = lora.modules_to_save;
  if (saves_tied_head && std::find(saved.begin(), saved.end(), "lm_head") == saved.end()) {
    saved.push_back("lm_head");
  }
  nlohmann::json ranks = nlohmann::json::object(), alphas = nlohmann::json::object();
  for (const auto& [pattern, rank] : lora.rank_pattern) ranks[pattern] = rank;
  for (const auto& [pattern, alpha] : lora.alpha_pattern) alphas[pattern] = alpha;
  nlohmann::json targets = lora.target_modules;
  if (lora.target_pattern == kAllLinear) {
    targets = adapted_modules(adapter.tensors);  // as PEFT saves it
  } else if (!lora.target_pattern.empty()) {
    targets = targets_for_peft(lora.target_pattern, adapter.tensors);
  }
  nlohmann::json sorted = {{"alpha_pattern", alphas},
                           {"auto_mapping", nullptr},
                           {"base_model_name_or_path", adapter.base_model_name_or_path},
                           {"bias", "none"},
                           {"fan_in_fan_out", false},
                           {"inference_mode", true},
                           {"init_lora_weights", true},
                           {"layers_pattern", nullptr},
                           {"layers_to_transform", nullptr},
                           {"loftq_config", nlohmann::json::object()},
                           {"lora_alpha", lora.lora_alpha},
                           {"lora_dropout", lora.lora_dropout},
                           {"modules_to_save", nullptr},
                           {"peft_type", "LORA"},
                           {"r", lora.r},
                           {"rank_pattern", ranks},
                           {"revision", nullptr},
                           {"target_modules", targets},
                           {"task_type", "CAUSAL_LM"},
                           {"use_dora", lora.use_dora},
                           {"use_rslora", lora.use_rslora}};
  if (!saved.empty()) sorted["modules_to_save"] = saved;
  if (saves_tied_head) sorted["ensure_weight_tying"] = true;
  return Json(sorted);
}

}  // namespace longspan
