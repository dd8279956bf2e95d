#include "tools/open_model.h"

#include <ATen/Parallel.h>

#include "checkpoints/peft_adapter.h"
#include "recipes/yaml.h"
#include "src/core/log.h"
#include "src/core/text.h"
#include "trainer/stage.h"

namespace longspan {

namespace {

/// `text` is a map such as {rope_type: yarn, factor: 2.0}; it replaces the model's own scaling.
void override_rope(CausalLm& model, const std::string& text) {
  Diagnostics diagnostics;
  Json map = read_yaml_override(text, "--rope", diagnostics);
  diagnostics.throw_if_any(ExitCode::kUsage);
  auto scaling = read_rope_scaling(Fields(map, diagnostics, "--rope"));
  diagnostics.throw_if_any(ExitCode::kUsage);
  RopeExtension rope = extend_rope(model.config(), std::move(scaling));
  model.set_rope_scaling(rope.scaling, rope.max_position_embeddings);
}

void override_attention(CausalLm& model, const cxxopts::ParseResult& parsed) {
  Json map = {{"pattern", parsed["attention"].as<std::string>()}};
  if (parsed.count("group-size")) {
    map["group_size"] = parse_length(parsed["group-size"].as<std::string>(), "--group-size");
  }
  Diagnostics diagnostics("--attention");
  auto pattern = read_attention_pattern(Fields(map, diagnostics));
  diagnostics.throw_if_any(ExitCode::kUsage);
  model.set_attention(std::move(pattern));
}

Json rope_entry(const ModelConfig& config) {
  return config.rope_scaling->config_entry(config.rope_geometry());
}

/// The SpecialToken that leads "single" of a TemplateProcessing, in post_processor or one of its
/// processors.
std::optional<int64_t> template_bos(const Json& processor) {
  if (!processor.is_object()) return std::nullopt;
  if (auto list = processor.find("processors"); list != processor.end() && list->is_array()) {
    for (const auto& item : *list) {
      if (auto id = template_bos(item)) return id;
    }
  }
  Json::json_pointer token("/single/0/SpecialToken/id");
  if (!processor.contains(token) || !processor[token].is_string()) return std::nullopt;
  Json tokens = processor.value("special_tokens", Json::object());
  for (const auto& [name, entry] : tokens.items()) {
    Json::json_pointer id("/ids/0");
    if (name == processor[token] && entry.contains(id) && entry[id].is_number_integer()) {
      return entry[id].get<int64_t>();
    }
  }
  return std::nullopt;
}

}  // namespace

void add_model_options(cxxopts::Options& options) {
  options.add_options()("model", "model folder or GGUF file", cxxopts::value<std::string>())(
      "adapter", "PEFT adapter folder to put on it", cxxopts::value<std::string>(), "DIR")(
      "rope", "RoPE scaling instead of the model's own, e.g. '{rope_type: yarn, factor: 2.0}'",
      cxxopts::value<std::string>(), "MAP")("attention", "full or shifted_sparse",
                                            cxxopts::value<std::string>()->default_value("full"),
                                            "PATTERN")(
      "group-size", "tokens a group of shifted_sparse", cxxopts::value<std::string>(), "N")(
      "dtype", "bfloat16 or float32", cxxopts::value<std::string>()->default_value("bfloat16"),
      "DTYPE")("threads", "processor threads (default: all)", cxxopts::value<int>(), "N")(
      "h,help", "this help");
  options.positional_help("MODEL");
}

at::ScalarType parse_dtype(const std::string& name) {
  if (name == "bfloat16") return at::kBFloat16;
  if (name == "float32") return at::kFloat;
  fail(ExitCode::kUsage, "--dtype: '{}' is not known; expected bfloat16 or float32", name);
}

OpenedModel open_model(const cxxopts::ParseResult& parsed) {
  if (!parsed.count("model")) {
    fail(ExitCode::kUsage, "no MODEL given, expected a model folder or a GGUF file; see -h");
  }
  if (parsed.count("threads")) {
    int threads = parsed["threads"].as<int>();
    if (threads < 1) fail(ExitCode::kUsage, "--threads: {} is not positive", threads);
    at::set_num_threads(threads);
  }
  ImportOptions import{.dtype = parse_dtype(parsed["dtype"].as<std::string>())};
  OpenedModel opened;
  opened.source = open_model_source(parsed["model"].as<std::string>());
  ModelConfig base = read_hf_config(opened.source->config_json(), opened.source->path().string());
  opened.rope_before = rope_entry(base);
  if (parsed.count("adapter")) {
    PeftAdapter adapter = read_peft_adapter(parsed["adapter"].as<std::string>());
    opened.model = import_adapted_model(*opened.source, adapter, import);
  } else {
    opened.model = import_model(*opened.source, base, import);
  }
  if (parsed.count("rope")) override_rope(*opened.model, parsed["rope"].as<std::string>());
  override_attention(*opened.model, parsed);
  opened.rope_after = rope_entry(opened.model->config());
  return opened;
}

std::unique_ptr<Tokenizer> open_tokenizer(const OpenedModel& opened) {
  std::string place = opened.source->path().string();
  Json json = opened.source->tokenizer_json();
  if (json.is_null()) {
    fail(ExitCode::kModel, "{}: has no tokenizer.json; put the model's own beside its config.json",
         place);
  }
  auto tokenizer = make_tokenizer(json, place);
  if (tokenizer->vocab_size() > opened.model->config().vocab_size) {
    fail(ExitCode::kModel,
         "{}: the tokenizer has {} ids and the model {} embeddings; put the model's own "
         "tokenizer.json beside its config.json",
         place, tokenizer->vocab_size(), opened.model->config().vocab_size);
  }
  return tokenizer;
}

std::optional<int64_t> bos_token_of(const ModelSource& source, const ModelConfig& config) {
  Json tokenizer = source.tokenizer_json();
  if (tokenizer.is_object() && tokenizer.contains("post_processor")) {
    if (auto id = template_bos(tokenizer["post_processor"])) return id;
  }
  for (const auto& [name, text] : source.side_files()) {
    if (name != "tokenizer_config.json") continue;
    Json json = parse_json(text, source.path().string() + "/" + name, ExitCode::kModel);
    auto add = json.find("add_bos_token");
    if (add != json.end() && add->is_boolean() && add->get<bool>()) return config.bos_token_id;
  }
  return std::nullopt;
}

}  // namespace longspan
