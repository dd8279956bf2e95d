#include "checkpoints/adapters/whole_model.h"

#include "checkpoints/dtype.h"
#include "checkpoints/hf/hf_importer.h"
#include "checkpoints/mapped_file.h"
#include "checkpoints/run_state/train_state.h"
#include "checkpoints/safetensors_writer.h"
#include "checkpoints/tensor_names.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

constexpr const char* kWeights = "model.safetensors";
constexpr const char* kBaseKey = "_name_or_path";  // transformers' word for where a model came from

}  // namespace

bool is_whole_model(const fs::path& folder) {
  return fs::exists(folder / kTrainStateFile) && fs::exists(folder / kWeights) &&
         fs::exists(folder / "config.json");
}

PeftAdapter read_whole_model(const fs::path& folder) {
  PeftAdapter adapter;
  adapter.lora.none = true;
  adapter.folder = folder;
  adapter.config_json = read_json_file(folder / "config.json", ExitCode::kModel);
  if (!adapter.config_json.is_object()) {
    fail(ExitCode::kModel, "{}: is no map", (folder / "config.json").string());
  }
  const Json base = adapter.config_json.value(kBaseKey, Json());
  if (base.is_string()) adapter.base_model_name_or_path = base.get<std::string>();
  const SafetensorsReader file(folder / kWeights);
  for (const auto& info : file.tensors()) {
    const at::Tensor tensor = file.tensor(info.name);
    check_finite(tensor, info.name, (folder / kWeights).string());
    if (auto bytes = mapped_bytes(tensor)) bytes->forget();
    adapter.tensors.emplace(info.name, tensor);
  }
  const bool ties = adapter.config_json.value("tie_word_embeddings", Json()) == true;
  const auto embeddings = adapter.tensors.find(kEmbedTokens);
  // As in an adapter: embeddings alone would untie the model.
  if (ties && embeddings != adapter.tensors.end()) {
    adapter.tensors.emplace(kLmHead, embeddings->second);
  }
  return adapter;
}

void write_whole_model(const fs::path& folder, const PeftAdapter& adapter) {
  write_safetensors(folder / kWeights, {adapter.tensors.begin(), adapter.tensors.end()});
  Json config = adapter.config_json;
  config[kBaseKey] = adapter.base_model_name_or_path;
  for (const char* key : {"torch_dtype", "dtype"}) config[key] = torch_dtype(at::kFloat);
  write_json_file(folder / "config.json", config);
}

}  // namespace longspan
