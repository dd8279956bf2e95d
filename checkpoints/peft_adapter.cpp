#include "checkpoints/peft_adapter.h"

#include <algorithm>
#include <set>

#include "checkpoints/safetensors.h"
#include "src/core/text.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

constexpr const char* kPrefix = "base_model.model.";
constexpr const char* kEmbedTokens = "model.embed_tokens.weight";
constexpr const char* kLmHead = "lm_head.weight";

/// Keys that change the result in ways we do not compute; each must be absent, null, false or
/// empty.
constexpr const char* kUnsupported[] = {
    "use_dora",          "rank_pattern",  "alpha_pattern",           "fan_in_fan_out",
    "lora_bias",         "use_qalora",    "trainable_token_indices", "target_parameters",
    "layer_replication", "use_bdlora",    "alora_invocation_tokens", "arrow_config",
    "kasa_config",       "velora_config", "monteclora_config"};

bool says_nothing(const Json& value) {
  return value.is_null() || value == false ||
         ((value.is_object() || value.is_array()) && value.empty());
}

/// "all-linear" and patterns are PEFT's own matching; the tensors say what they matched.
std::vector<std::string> adapted_modules(const std::map<std::string, at::Tensor>& tensors) {
  std::set<std::string> modules;
  constexpr std::string_view kEnd = ".lora_A.weight";
  for (const auto& [name, tensor] : tensors) {
    if (!name.ends_with(kEnd)) continue;
    std::string module = name.substr(0, name.size() - kEnd.size());
    modules.insert(module.substr(module.rfind('.') + 1));
  }
  return {modules.begin(), modules.end()};
}

LoraOptions read_options(const Json& json, const std::string& place,
                         const std::map<std::string, at::Tensor>& tensors) {
  Diagnostics diagnostics(place);
  Fields fields(json, diagnostics);
  std::string peft_type = "LORA", bias = "none";
  fields.choice("peft_type", peft_type, {"LORA"});
  fields.choice("bias", bias, {"none"});
  for (const char* key : kUnsupported) {
    if (fields.has(key) && !says_nothing(json[key])) {
      fields.error(key, fmt::format("{} is not supported", json[key].dump()));
    }
  }
  LoraOptions options;
  options.lora_alpha = 8;  // PEFT's default
  fields.in_range("r", options.r, 1, 1 << 20);
  fields.optional("lora_alpha", options.lora_alpha);
  fields.optional("use_rslora", options.use_rslora);
  // lora_dropout acts in PEFT's training only.
  options.modules_to_save.clear();
  fields.optional("modules_to_save", options.modules_to_save);
  if (json.is_object() && json.contains("target_modules") && json["target_modules"].is_array()) {
    fields.optional("target_modules", options.target_modules);
  } else {
    options.target_modules = adapted_modules(tensors);
  }
  diagnostics.throw_if_any(ExitCode::kModel);
  return options;
}

/// "base_model.model.model.norm.weight" -> "model.norm.weight".
std::string plain_name(const std::string& name, const std::string& place) {
  if (!name.starts_with(kPrefix)) {
    fail(ExitCode::kModel, "{}: tensor '{}' does not begin with '{}'; is this a PEFT adapter?",
         place, name, kPrefix);
  }
  return name.substr(std::string_view(kPrefix).size());
}

bool is_tied(const Json& config_json) {
  return config_json.is_object() && config_json.value("tie_word_embeddings", false);
}

/// PEFT's keys up to use_dora: what every version knows; ensure_weight_tying only where needed.
Json adapter_config(const PeftAdapter& adapter, bool saves_tied_head) {
  std::vector<std::string> saved = adapter.lora.modules_to_save;
  if (saves_tied_head && std::find(saved.begin(), saved.end(), "lm_head") == saved.end()) {
    saved.push_back("lm_head");
  }
  nlohmann::json sorted = {{"alpha_pattern", nlohmann::json::object()},
                           {"auto_mapping", nullptr},
                           {"base_model_name_or_path", adapter.base_model_name_or_path},
                           {"bias", "none"},
                           {"fan_in_fan_out", false},
                           {"inference_mode", true},
                           {"init_lora_weights", true},
                           {"layers_pattern", nullptr},
                           {"layers_to_transform", nullptr},
                           {"loftq_config", nlohmann::json::object()},
                           {"lora_alpha", adapter.lora.lora_alpha},
                           {"lora_dropout", adapter.lora.lora_dropout},
                           {"modules_to_save", nullptr},
                           {"peft_type", "LORA"},
                           {"r", adapter.lora.r},
                           {"rank_pattern", nlohmann::json::object()},
                           {"revision", nullptr},
                           {"target_modules", adapter.lora.target_modules},
                           {"task_type", "CAUSAL_LM"},
                           {"use_dora", false},
                           {"use_rslora", adapter.lora.use_rslora}};
  if (!saved.empty()) sorted["modules_to_save"] = saved;
  if (saves_tied_head) sorted["ensure_weight_tying"] = true;
  return Json(sorted);
}

}  // namespace

PeftAdapter read_peft_adapter(const fs::path& folder) {
  fs::path config_path = folder / "adapter_config.json";
  fs::path tensors_path = folder / "adapter_model.safetensors";
  for (const auto& path : {config_path, tensors_path}) {
    if (!fs::exists(path)) {
      fail(ExitCode::kModel, "{}: has no {}; expected a PEFT adapter folder", folder.string(),
           path.filename().string());
    }
  }
  PeftAdapter adapter;
  SafetensorsReader reader(tensors_path);
  for (const auto& info : reader.tensors()) {
    std::string name = plain_name(info.name, tensors_path.string());
    at::Tensor tensor = reader.tensor(info.name);
    check_finite(tensor, info.name, tensors_path.string());
    adapter.tensors[name] = tensor;
  }
  Json json = read_json_file(config_path, ExitCode::kModel);
  adapter.lora = read_options(json, config_path.string(), adapter.tensors);
  if (json.contains("base_model_name_or_path") && json["base_model_name_or_path"].is_string()) {
    adapter.base_model_name_or_path = json["base_model_name_or_path"].get<std::string>();
  }
  if (fs::exists(folder / "config.json")) {
    adapter.config_json = read_json_file(folder / "config.json", ExitCode::kModel);
  }
  return adapter;
}

void write_peft_adapter(const fs::path& folder, const PeftAdapter& adapter) {
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  for (const auto& [name, tensor] : adapter.tensors)
    tensors.emplace_back(fmt::format("{}{}", kPrefix, name), tensor);
  auto embeddings = adapter.tensors.find(kEmbedTokens);
  bool saves_tied_head = is_tied(adapter.config_json) && embeddings != adapter.tensors.end();
  if (saves_tied_head && !adapter.tensors.contains(kLmHead)) {
    tensors.emplace_back(fmt::format("{}{}", kPrefix, kLmHead), embeddings->second);
  }
  write_safetensors(folder / "adapter_model.safetensors", tensors);
  write_json_file(folder / "adapter_config.json", adapter_config(adapter, saves_tied_head));
  if (!adapter.config_json.is_null()) write_json_file(folder / "config.json", adapter.config_json);
}

}  // namespace longspan
