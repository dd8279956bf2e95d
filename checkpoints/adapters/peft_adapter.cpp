#include "checkpoints/adapters/peft_adapter.h"

#include "checkpoints/adapters/adapter_config.h"
#include "checkpoints/adapters/whole_model.h"
#include "checkpoints/hf/hf_importer.h"
#include "checkpoints/hf/hub_cache.h"
#include "checkpoints/mapped_file.h"
#include "checkpoints/safetensors_writer.h"
#include "checkpoints/tensor_file.h"
#include "checkpoints/tensor_names.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

constexpr const char* kPeftPrefix = "base_model.model.";
constexpr const char* kTrainableParams = "trainable_params.bin";
constexpr size_t kLongestModuleName = 512;  // they are matched with regular expressions

/// "base_model.model.model.norm.weight" -> "model.norm.weight"; the weights that PEFT keeps of an
/// adapted module lose their "base_layer", rows of tokens their "token_adapter", and
/// lora_magnitude_vector a ".weight" of some versions.
std::string plain_name(std::string name, const std::string& place) {
  if (!name.starts_with(kPeftPrefix) || name.size() > kLongestModuleName) {
    fail(ExitCode::kModel, "{}: tensor '{}' does not begin with '{}'; is this a PEFT adapter?",
         place, name.substr(0, kLongestModuleName), kPeftPrefix);
  }
  name.erase(0, std::string_view(kPeftPrefix).size());
  for (std::string_view wrapper : {".token_adapter.", ".base_layer."}) {
    if (size_t at = name.find(wrapper); at != name.npos) name.replace(at, wrapper.size(), ".");
  }
  constexpr std::string_view kWeight = ".weight";
  if (name.ends_with(".lora_magnitude_vector.weight")) name.resize(name.size() - kWeight.size());
  return name;
}

/// Where it sees a changed vocabulary, PEFT saves an embedding of modules_to_save three times:
/// X.weight, which it loads; the same as X.modules_to_save.weight; and X.original_module.weight,
/// which its modules_to_save take the place of.
bool is_copy_of_saved(const std::string& name) {
  return name.find(".modules_to_save.") != name.npos || name.find(".original_module.") != name.npos;
}

bool is_tied(const Json& config_json) {
  return config_json.is_object() && config_json.value("tie_word_embeddings", false);
}

/// LongLoRA's second file: full names, put on the base before the adapter.
void read_trainable_params(const fs::path& folder, PeftAdapter& adapter) {
  fs::path path = folder / kTrainableParams;
  TensorFile file(path);
  for (const auto& info : file.tensors()) {
    at::Tensor tensor = file.tensor(info.name);
    check_finite(tensor, info.name, path.string());
    adapter.tensors.emplace(info.name, tensor);
  }
  adapter.is_longlora = true;
  if (!adapter.config_json.is_null()) return;
  fs::path tokenizer = folder / "tokenizer_config.json";
  Json json = fs::exists(tokenizer) ? read_json_file(tokenizer, ExitCode::kModel) : Json();
  Json length = json.is_object() ? json.value("model_max_length", Json()) : Json();
  // transformers writes 1e30 for "no limit".
  bool stated = length.is_number_integer() && length.get<double>() >= 1 &&
                length.get<double>() <= double{1 << 30};
  if (!stated) {
    fail(ExitCode::kModel,
         "{}: does not say for which length it was trained, so its RoPE is unknown; write "
         "{{\"model_max_length\": 32768}} (or what it is) as tokenizer_config.json there, or put "
         "the extended model's config.json beside",
         folder.string());
  }
  adapter.longlora_context = length.get<int64_t>();
}

}  // namespace

fs::path adapter_weights(const fs::path& folder) {
  for (const char* name : {"adapter_model.safetensors", "adapter_model.bin"}) {
    if (fs::exists(folder / name)) return folder / name;
  }
  fail(ExitCode::kModel,
       "{}: has neither adapter_model.safetensors nor adapter_model.bin; expected a PEFT adapter "
       "folder",
       folder.string());
}

PeftAdapter read_peft_adapter(const fs::path& path) {
  fs::path folder = find_model(path);
  fs::path config_path = folder / "adapter_config.json";
  if (!fs::exists(config_path) && is_whole_model(folder)) return read_whole_model(folder);
  if (!fs::exists(config_path)) {
    fail(ExitCode::kModel, "{}: has no adapter_config.json; expected a PEFT adapter folder",
         folder.string());
  }
  PeftAdapter adapter;
  adapter.folder = folder;
  fs::path weights = adapter_weights(folder);
  TensorFile file(weights);
  for (const auto& info : file.tensors()) {
    if (is_copy_of_saved(info.name)) continue;
    at::Tensor tensor = file.tensor(info.name);
    check_finite(tensor, info.name, weights.string());
    if (auto bytes = mapped_bytes(tensor)) bytes->forget();
    if (!adapter.tensors.emplace(plain_name(info.name, weights.string()), tensor).second) {
      fail(ExitCode::kModel, "{}: tensor '{}' stands twice", weights.string(), info.name);
    }
  }
  Json json = read_json_file(config_path, ExitCode::kModel);
  read_adapter_config(json, config_path.string(), adapter);
  if (json.contains("base_model_name_or_path") && json["base_model_name_or_path"].is_string()) {
    adapter.base_model_name_or_path = json["base_model_name_or_path"].get<std::string>();
  }
  if (fs::exists(folder / "config.json")) {
    adapter.config_json = read_json_file(folder / "config.json", ExitCode::kModel);
    // How its trainer held the base; the weights that the adapter is put on are not.
    if (adapter.config_json.is_object()) adapter.config_json.erase("quantization_config");
  }
  if (fs::exists(folder / kTrainableParams)) read_trainable_params(folder, adapter);
  return adapter;
}

void write_peft_adapter(const fs::path& folder, const PeftAdapter& adapter) {
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  for (const auto& [name, tensor] : adapter.tensors)
    tensors.emplace_back(fmt::format("{}{}", kPeftPrefix, name), tensor);
  auto embeddings = adapter.tensors.find(kEmbedTokens);
  bool saves_tied_head = is_tied(adapter.config_json) && embeddings != adapter.tensors.end();
  if (saves_tied_head && !adapter.tensors.contains(kLmHead)) {
    tensors.emplace_back(fmt::format("{}{}", kPeftPrefix, kLmHead), embeddings->second);
  }
  write_safetensors(folder / "adapter_model.safetensors", tensors);
  write_json_file(folder / "adapter_config.json", write_adapter_config(adapter, saves_tied_head));
  if (!adapter.config_json.is_null()) write_json_file(folder / "config.json", adapter.config_json);
}

}  // namespace longspan
