#include "tools/support/open_model.h"

#include <ATen/Parallel.h>

#include "checkpoints/adapters/adapted_model.h"
#include "checkpoints/adapters/merge.h"
#include "checkpoints/hf/hf_config.h"
#include "checkpoints/hf/hf_importer.h"
#include "checkpoints/hf/hub_cache.h"
#include "checkpoints/hf/special_tokens.h"
#include "checkpoints/run_state/checkpoint_store.h"
#include "src/core/log.h"
#include "src/core/text.h"
#include "src/nn/device.h"
#include "tools/support/fitted_tokenizer.h"
#include "tools/support/rope_option.h"

namespace longspan {

namespace {

std::shared_ptr<AttentionPattern> read_attention(const cxxopts::ParseResult& parsed) {
  const auto name = parsed["attention"].as<std::string>();
  Json map = {{"pattern", name}};
  if (parsed.count("group-size")) {
    if (name != "shifted_sparse") {
      fail(ExitCode::kUsage, "--group-size: is for --attention shifted_sparse, not {}", name);
    }
    map["group_size"] = parse_length(parsed["group-size"].as<std::string>(), "--group-size");
  }
  Diagnostics diagnostics("--attention");
  auto pattern = read_attention_pattern(Fields(map, diagnostics));
  diagnostics.throw_if_any(ExitCode::kUsage);
  return pattern;
}

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

}  // namespace

void add_model_options(cxxopts::Options& options) {
  options.add_options()("model",
                        "model folder, adapter or run folder, GGUF file or hub id ORG/NAME",
                        cxxopts::value<std::string>())(
      "adapter", "PEFT adapter folder to put on it", cxxopts::value<std::string>(), "DIR")(
      "rope", "RoPE scaling, e.g. '{rope_type: yarn, factor: 2.0}', or a JSON file with one",
      cxxopts::value<std::string>(), "MAP")("attention", "full, shifted_sparse or sliding_window",
                                            cxxopts::value<std::string>()->default_value("full"),
                                            "PATTERN")(
      "group-size", "tokens a group of shifted_sparse", cxxopts::value<std::string>(), "N")(
      "dtype", "bfloat16 or float32", cxxopts::value<std::string>()->default_value("bfloat16"),
      "DTYPE")("quantization", "of the projections' weights: none, nf4 or int8",
               cxxopts::value<std::string>()->default_value("none"),
               "KIND")("threads", "processor threads (default: all)", cxxopts::value<std::string>(),
                       "N")("h,help", "this help");
  add_device_option(options);
  add_on_scaled_option(options);
  options.positional_help("MODEL");
}

at::ScalarType parse_dtype(const std::string& name) {
  if (name == "bfloat16") return at::kBFloat16;
  if (name == "float32") return at::kFloat;
  fail(ExitCode::kUsage, "--dtype: '{}' is not known; expected bfloat16 or float32", name);
}

Quantization parse_quantization(const std::string& name) {
  if (auto quantization = quantization_named(name)) return *quantization;
  fail(ExitCode::kUsage, "--quantization: '{}' is not known; expected none, nf4 or int8", name);
}

void set_threads(const cxxopts::ParseResult& parsed) {
  if (!parsed.count("threads")) return;
  int threads = number_of<int>(parsed, "threads");
  constexpr int kMostThreads = 1024;
  if (threads < 1 || threads > kMostThreads) {
    fail(ExitCode::kUsage, "--threads: {} is out of range; expected 1 to {}", threads,
         kMostThreads);
  }
  at::set_num_threads(threads);
}

void require_cache(const cxxopts::ParseResult& parsed, std::string_view what) {
  auto attention = read_attention(parsed);
  if (attention->has_cache()) return;
  fail(
      ExitCode::kUsage,
      "--attention {}: keeps no keys and values of what was read, which {} needs; expected full or "
      "sliding_window",
      attention->name(), what);
}

OpenedModel open_model(const cxxopts::ParseResult& parsed) {
  if (!parsed.count("model")) {
    fail(ExitCode::kUsage, "no MODEL given, expected a model folder or a GGUF file; see -h");
  }
  set_threads(parsed);
  const at::Device device = open_device(parsed["device"].as<std::string>());
  ImportOptions import{
      .dtype = parse_dtype(parsed["dtype"].as<std::string>()),
      .quantization = parse_quantization(parsed["quantization"].as<std::string>())};
  auto attention = read_attention(parsed);
  check_rope_option(parsed);
  OpenedModel opened;
  std::filesystem::path model = parsed["model"].as<std::string>();
  std::optional<std::filesystem::path> folder;
  if (parsed.count("adapter")) {
    folder = parsed["adapter"].as<std::string>();
  } else if (auto found = look_up_model(model)) {
    folder = find_adapter(*found);
  }
  if (folder) opened.adapter = std::make_unique<PeftAdapter>(read_peft_adapter(*folder));
  if (folder && !parsed.count("adapter")) model = base_of(*opened.adapter, *folder);
  opened.base = open_model_source(model);
  ModelConfig base = read_hf_config(*opened.base);
  opened.rope_before = rope_entry(base);
  if (opened.adapter) {
    opened.model = import_adapted_model(*opened.base, *opened.adapter, import);
    opened.source = merged_source(*opened.base, *opened.adapter);
  } else {
    opened.model = import_model(*opened.base, base, import);
    opened.source = std::move(opened.base);
  }
  if (!device.is_cpu()) move_to(*opened.model, device);
  if (parsed.count("rope")) {
    RopeExtension rope = extend_rope_by_option(opened.model->config(), parsed);
    opened.model->set_rope_scaling(rope.scaling, rope.max_position_embeddings);
  }
  opened.model->set_attention(std::move(attention));
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
