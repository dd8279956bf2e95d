#include "tools/support/checkpoint_view.h"

#include "checkpoints/adapters/peft_adapter.h"
#include "checkpoints/hf/hf_config.h"
#include "checkpoints/run_state/checkpoint_store.h"
#include "checkpoints/tensor_file.h"
#include "src/core/text.h"
#include "tools/support/text_model.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

void view_file(const fs::path& path, CheckpointView& view) {
  auto reader = std::make_shared<TensorFile>(path);
  view.tensors.infos = reader->tensors();
  view.tensors.tensor = [reader](const std::string& name) { return reader->tensor(name); };
  view.no_tokenizer = "has none";
}

void view_adapter(const fs::path& folder, CheckpointView& view) {
  view_file(adapter_weights(folder), view);
  view.config["adapter_config"] = read_json_file(folder / "adapter_config.json", ExitCode::kModel);
  if (!fs::exists(folder / "config.json")) return;
  view.config["config"] = read_json_file(folder / "config.json", ExitCode::kModel);
  const PeftAdapter adapter = read_peft_adapter(folder);
  try {
    view.model = read_hf_config(adapter.config_json, folder.string());
  } catch (const Error&) {  // no model of ours: its keys are compared all the same
  }
}

/// A tokenizer we cannot read is no reason to leave the tensors uncompared.
void view_tokenizer(const ModelSource& source, CheckpointView& view) {
  try {
    view.tokenizer = open_text_model(source.path()).tokenizer;
    Json json = source.tokenizer_json();
    if (json.is_object()) view.added_tokens = json.value("added_tokens", Json::array());
  } catch (const Error& e) {
    view.no_tokenizer = e.what();
  }
}

void view_model(const fs::path& path, CheckpointView& view) {
  std::shared_ptr<ModelSource> source = open_model_source(path);
  view.kind = source->format();
  view.tensors.infos = source->tensors();
  view.tensors.tensor = [source](const std::string& name) { return source->tensor(name); };
  view.config = source->config_json();
  view.model = read_hf_config(view.config, path.string());
  view_tokenizer(*source, view);
}

}  // namespace

CheckpointView open_checkpoint_view(const fs::path& path) {
  CheckpointView view;
  view.path = path;
  if (auto newest = CheckpointStore(path / "checkpoints").newest()) view.path = *newest;
  if (fs::exists(view.path / "adapter_config.json")) {
    view.kind = "adapter";
    view_adapter(view.path, view);
  } else if (is_tensor_file(path) && !fs::exists(path.parent_path() / "config.json")) {
    view.kind = lower_case(path.extension().string()).substr(1);
    view_file(path, view);
  } else {
    view_model(view.path, view);
  }
  return view;
}

}  // namespace longspan
