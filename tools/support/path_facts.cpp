#include "tools/support/path_facts.h"

#include <algorithm>
#include <fstream>
#include <functional>

#include "checkpoints/adapters/peft_adapter.h"
#include "checkpoints/adapters/whole_model.h"
#include "checkpoints/gguf/gguf.h"
#include "checkpoints/hf/hf_config.h"
#include "checkpoints/hf/hub_cache.h"
#include "checkpoints/meta/meta_source.h"
#include "checkpoints/run_state/checkpoint_store.h"
#include "checkpoints/run_state/train_state.h"
#include "checkpoints/sentencepiece/sentencepiece_json.h"
#include "checkpoints/tensor_file.h"
#include "data/store/token_store.h"
#include "src/core/text.h"
#include "src/model/context_length.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

/// Counts, and with `list` each tensor.
void add_tensors(Json& facts, const std::vector<TensorInfo>& tensors, bool list) {
  int64_t parameters = 0, bytes = 0;
  Json dtypes = Json::object();
  Json listed = Json::array();
  for (const auto& info : tensors) {
    parameters += info.numel();
    bytes += info.bytes;
    dtypes[info.dtype] = dtypes.value(info.dtype, int64_t{0}) + info.numel();
    if (list) {
      listed.push_back({{"name", info.name}, {"dtype", info.dtype}, {"shape", info.shape}});
    }
  }
  facts["parameters"] = parameters;
  facts["weight_bytes"] = bytes;
  facts["dtypes"] = dtypes;
  facts["tensor_count"] = tensors.size();
  if (list) facts["tensors"] = listed;
}

Json rope_facts(const ModelConfig& config) {
  return config.rope_scaling->config_entry(config.rope_geometry());
}

/// What `read` finds, under keys that end in `suffix`. A config.json beside an adapter may be that
/// of a model that is not ours; then the reason stands in its place.
void add_context(Json& facts, const std::string& suffix, const std::function<ModelConfig()>& read) {
  try {
    const ModelConfig config = read();
    facts["max_position_embeddings" + suffix] = config.max_position_embeddings;
    facts["context_length" + suffix] = context_length(config).usable;
    facts["rope" + suffix] = rope_facts(config);
  } catch (const Error& e) {
    facts["no_context" + suffix] = e.what();
  }
}

Json describe_model(const fs::path& path, bool list) {
  auto opened = open_model_source(path);
  const ModelSource& source = *opened;
  ModelConfig config = read_hf_config(source);
  Json facts = {{"kind", "model folder"}, {"path", path.string()}};
  for (const char* key : {"model_type", "vocab_size", "hidden_size", "intermediate_size",
                          "num_hidden_layers", "num_attention_heads", "num_key_value_heads"}) {
    facts[key] = source.config_json().value(key, Json());
  }
  facts["head_dim"] = config.head_dim;
  facts["num_key_value_heads"] = config.num_key_value_heads;
  facts["tie_word_embeddings"] = config.tie_word_embeddings;
  facts["max_position_embeddings"] = config.max_position_embeddings;
  facts["context_length"] = context_length(config).usable;
  facts["rope"] = rope_facts(config);
  Json tokenizer = source.tokenizer_json();
  Json model = tokenizer.is_object() ? tokenizer.value("model", Json()) : Json();
  facts["tokenizer"] = model.is_object() ? model.value("type", Json()) : Json();
  if (const auto pieces = sentencepiece_model_of(tokenizer, source.path().string())) {
    facts["tokenizer_vocab_size"] = pieces->pieces.size();
  } else if (model.is_object() && model.contains("vocab")) {
    facts["tokenizer_vocab_size"] = model["vocab"].size();
  }
  add_tensors(facts, source.tensors(), list);
  return facts;
}

Json describe_gguf(const fs::path& path, bool list) {
  GgufReader gguf(path);
  Json facts = {{"kind", "GGUF"}, {"path", path.string()}, {"metadata", Json::object()}};
  constexpr size_t kLongestShown = 64;  // vocabularies and templates are left out
  for (const auto& [key, value] : gguf.metadata()) {
    if (value.is_array() ? value.size() <= 8 : value.dump().size() <= kLongestShown) {
      facts["metadata"][key] = value;
    }
  }
  std::vector<TensorInfo> tensors;
  for (const auto& tensor : gguf.tensors()) {
    tensors.push_back({tensor.name, std::string(tensor.type->name), tensor.shape, tensor.bytes});
  }
  add_tensors(facts, tensors, list);
  return facts;
}

Json describe_safetensors(const fs::path& path, bool list) {
  SafetensorsReader reader(path);
  Json facts = {{"kind", "safetensors"}, {"path", path.string()}, {"metadata", reader.metadata()}};
  add_tensors(facts, reader.tensors(), list);
  return facts;
}

Json describe_torch_checkpoint(const fs::path& path, bool list) {
  Json facts = {{"kind", "PyTorch state dict"}, {"path", path.string()}};
  add_tensors(facts, TorchCheckpoint(path).tensors(), list);
  return facts;
}

/// How far the run of a checkpoint had come.
void add_progress(Json& facts, const fs::path& checkpoint) {
  const fs::path file = checkpoint / kTrainStateFile;
  const Json state = read_json_file(file, ExitCode::kCheckpoint);
  if (!state.is_object()) {
    fail(ExitCode::kCheckpoint, "{}: is no map; the checkpoint is damaged, take an older one",
         file.string());
  }
  for (const char* key : {"step", "tokens"}) facts[key] = state.value(key, Json());
}

Json describe_whole_model(const fs::path& path, bool list) {
  Json facts = describe_model(path, list);
  facts["kind"] = "checkpoint of all weights";
  add_progress(facts, path);
  return facts;
}

Json describe_adapter(const fs::path& path, bool list) {
  PeftAdapter adapter = read_peft_adapter(path);
  const bool checkpoint = fs::exists(path / kTrainStateFile);
  Json facts = {{"kind", checkpoint ? "checkpoint" : "PEFT adapter"},
                {"path", path.string()},
                {"base_model_name_or_path", adapter.base_model_name_or_path},
                {"r", adapter.lora.r},
                {"lora_alpha", adapter.lora.lora_alpha},
                {"use_rslora", adapter.lora.use_rslora},
                {"scale", adapter.lora.scale()},
                {"target_modules", adapter.lora.target_modules},
                {"modules_to_save", adapter.lora.modules_to_save}};
  if (checkpoint) add_progress(facts, path);
  const std::string& base = adapter.base_model_name_or_path;
  if (!base.empty() && look_up_model(base)) {
    add_context(facts, "_before", [&] { return read_hf_config(*open_model_source(base)); });
  }
  if (!adapter.config_json.is_null()) {
    add_context(facts, "", [&] {
      return read_hf_config(adapter.config_json, (path / "config.json").string());
    });
  }
  add_tensors(facts, TensorFile(adapter_weights(path)).tensors(), list);
  return facts;
}

Json describe_run(const fs::path& path, bool list) {
  CheckpointStore store(path / "checkpoints");
  Json facts = {
      {"kind", "run folder"}, {"path", path.string()}, {"checkpoint_steps", store.steps()}};
  auto newest = store.newest();
  if (!newest) return facts;
  Json checkpoint = is_whole_model(*newest) ? describe_whole_model(*newest, list)
                                            : describe_adapter(*newest, list);
  if (list) facts["tensors"] = checkpoint["tensors"];
  checkpoint.erase("tensors");
  facts["newest_checkpoint"] = std::move(checkpoint);
  return facts;
}

Json describe_token_store(const fs::path& path) {
  TokenStore store(path);
  const TokenStoreInfo& info = store.info();
  int64_t longest = 0;
  for (const auto& document : store.documents()) longest = std::max(longest, document.tokens);
  return {{"kind", "token store"},
          {"path", path.string()},
          {"format_version", info.format_version},
          {"documents", info.documents},
          {"tokens", info.tokens},
          {"longest_document_tokens", longest},
          {"vocab_size", info.vocab_size},
          {"tokenizer_fingerprint", info.tokenizer_fingerprint},
          {"file_bytes", fs::file_size(path)}};
}

std::string first_bytes(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  std::string bytes(8, '\0');
  stream.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return bytes;
}

}  // namespace

Json path_facts(const fs::path& named, bool list_tensors) {
  auto found = look_up_model(named);
  if (!found) fail(ExitCode::kData, "{}: there is no such file or folder", named.string());
  const fs::path& path = *found;
  if (fs::is_directory(path)) {
    if (fs::exists(path / "adapter_config.json")) return describe_adapter(path, list_tensors);
    if (is_whole_model(path)) return describe_whole_model(path, list_tensors);
    if (fs::exists(path / "checkpoints")) return describe_run(path, list_tensors);
    if (fs::exists(path / "config.json") || MetaSource::is_one(path)) {
      return describe_model(path, list_tensors);
    }
    fail(ExitCode::kModel, "{}: is no model folder, adapter, checkpoint or run", path.string());
  }
  if (!fs::is_regular_file(path)) {  // a pipe would wait for ever
    fail(ExitCode::kData, "{}: is no regular file", path.string());
  }
  std::string bytes = first_bytes(path);
  if (bytes.starts_with("GGUF")) return describe_gguf(path, list_tensors);
  if (bytes.starts_with("\x89HDF")) return describe_token_store(path);
  if (lower_case(path.extension().string()) == ".safetensors")
    return describe_safetensors(path, list_tensors);
  if (bytes.starts_with("PK")) return describe_torch_checkpoint(path, list_tensors);
  fail(ExitCode::kData, "{}: is no GGUF, safetensors, PyTorch file or token store", path.string());
}

}  // namespace longspan
