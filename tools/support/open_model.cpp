#include "tools/support/open_model.h"

#include <ATen/Parallel.h>

#include "checkpoints/adapters/adapted_model.h"
#include "checkpoints/adapters/merge.h"
#include "checkpoints/hf/hf_config.h"
#include "checkpoints/hf/hf_importer.h"
#include "checkpoints/hf/hub_cache.h"
#include "checkpoints/hf/special_tokens.h"
#include "checkpoints/run_state/checkpoint_store.h"
#include "src/core/error.h"
#include "src/nn/device.h"
#include "tools/support/attention_option.h"
#include "tools/support/fitted_tokenizer.h"
#include "tools/support/rope_option.h"

namespace longspan {

namespace {

Json rope_entry(const ModelConfig& config) {
  return config.rope_scaling->config_entry(config.rope_geometry());
}

/// The model that the adapter says it was trained on: a path, or a hub id in the local cache.
std::filesystem::path base_of(const PeftAdapter& adapter, const std::filesystem::path& folder) {
  const std::string& base = adapter.base_model_name_or_path;
  if (!base.empty() && look_up_model(base)) return base;
  fail(ExitCode::kModel,
       "{}: is an adapter to '{}', which is not here; give the base as MODEL and this folder by "
       "--adapter, or get it with longspan pull",
       folder.string(), base);
}

/// The model with the adapter, or with the one that lies in its own folder.
OpenedModel open_as_stored(const Arguments& arguments, std::filesystem::path model,
                           std::optional<std::filesystem::path> adapter,
                           const std::function<void(const ModelSource&)>& before_weights) {
  const at::Device device = open_device(arguments["device"]);
  const ImportOptions import{.dtype = parse_dtype(arguments["dtype"]),
                             .quantization = parse_quantization(arguments["quantization"])};
  OpenedModel opened;
  const bool base_is_given = adapter.has_value();
  if (!base_is_given) {
    if (auto found = look_up_model(model)) adapter = find_adapter(*found);
  }
  if (adapter) opened.adapter = std::make_unique<PeftAdapter>(read_peft_adapter(*adapter));
  if (adapter && !base_is_given) model = base_of(*opened.adapter, *adapter);
  opened.base = open_model_source(model);
  ModelConfig base = read_hf_config(*opened.base);
  opened.rope_before = rope_entry(base);
  if (before_weights) {
    before_weights(opened.adapter ? *merged_source(*opened.base, *opened.adapter) : *opened.base);
  }
  if (opened.adapter) {
    opened.model = import_adapted_model(*opened.base, *opened.adapter, import);
    opened.source = merged_source(*opened.base, *opened.adapter);
  } else {
    opened.model = import_model(*opened.base, base, import);
    opened.source = std::move(opened.base);
  }
  if (!device.is_cpu()) move_to(*opened.model, device);
  opened.rope_after = opened.rope_before;
  return opened;
}

}  // namespace

at::ScalarType parse_dtype(const std::string& name) {
  if (name == "bfloat16") return at::kBFloat16;
  if (name == "float32") return at::kFloat;
  fail(ExitCode::kUsage, "--dtype: '{}' is not known; expected bfloat16 or float32", name);
}

Quantization parse_quantization(const std::string& name) {
  if (auto quantization = quantization_named(name)) return *quantization;
  fail(ExitCode::kUsage, "--quantization: '{}' is not known; expected none, nf4 or int8", name);
}

void set_threads(const Arguments& arguments) {
  if (!arguments.given("threads")) return;
  int threads = arguments.number<int>("threads");
  constexpr int kMostThreads = 1024;
  if (threads < 1 || threads > kMostThreads) {
    fail(ExitCode::kUsage, "--threads: {} is out of range; expected 1 to {}", threads,
         kMostThreads);
  }
  at::set_num_threads(threads);
}

void require_cache(const Arguments& arguments, std::string_view what) {
  auto attention = read_attention_option(arguments);
  if (!attention || attention->make_state(/*layer=*/0)) return;
  fail(ExitCode::kUsage,
       "--attention {}: keeps no keys and values of what was read, which {} needs; expected full, "
       "sliding_window or focused_memory",
       attention->name(), what);
}

OpenedModel open_plain_model(const Arguments& arguments, const std::filesystem::path& model) {
  return open_as_stored(arguments, model, std::nullopt, {});
}

OpenedModel open_model(const Arguments& arguments,
                       const std::function<void(const ModelSource& model)>& before_weights) {
  set_threads(arguments);
  auto attention = read_attention_option(arguments);
  check_rope_option(arguments);
  std::optional<std::filesystem::path> adapter;
  if (arguments.given("adapter")) adapter = arguments["adapter"];
  OpenedModel opened = open_as_stored(arguments, arguments["model"], adapter, before_weights);
  if (arguments.given("rope")) {
    apply_rope(extend_rope_by_option(opened.model->config(), arguments), *opened.model);
  }
  if (attention) opened.model->set_attention(std::move(attention));
  opened.rope_after = rope_entry(opened.model->config());
  return opened;
}

std::unique_ptr<Tokenizer> open_tokenizer(const OpenedModel& opened) {
  std::string place = opened.source->path().string();
  Json json = opened.source->tokenizer_json();
  if (json.is_null()) {
    fail(ExitCode::kModel,
         "{}: has neither tokenizer.json nor tokenizer.model; put the model's own beside its "
         "config.json",
         place);
  }
  return fit_to_embeddings(make_tokenizer(json, place), opened.model->config().vocab_size, place);
}

std::optional<int64_t> bos_token_of(const ModelSource& source, const ModelConfig& config) {
  return added_bos_token(source.tokenizer_json(), source.side_json("tokenizer_config.json"),
                         config.bos_token_id);
}

}  // namespace longspan
