#include "tools/bench/step_work.h"

#include <algorithm>
#include <utility>

#include "checkpoints/hf/hf_config.h"
#include "data/documents/document_files.h"
#include "data/documents/document_source.h"
#include "data/store/token_store_writer.h"
#include "data/tokenizers/tokenizer.h"
#include "src/core/text.h"
#include "src/model/causal_lm.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

/// Modules whose parameters' names contain one of `words`, as scripts of peers pick them.
std::vector<std::string> modules_named(const ModelConfig& config,
                                       const std::vector<std::string>& words) {
  std::vector<std::string> modules;
  make_causal_lm(config)->visit_parameters("", [&](const std::string& name, at::Tensor&) {
    const auto inside = [&](const std::string& word) {
      return !word.empty() && name.find(word) != name.npos;
    };
    if (std::any_of(words.begin(), words.end(), inside)) {
      modules.push_back(name.substr(0, name.rfind('.')));
    }
  });
  return modules;
}

}  // namespace

StepModel open_step_model(const cxxopts::ParseResult& parsed) {
  const fs::path folder = parsed["model"].as<std::string>();
  if (parsed.count("random-weights")) {
    const fs::path config = folder / "config.json";
    return {nullptr, read_hf_config(read_json_file(config, ExitCode::kModel), config.string()),
            read_json_file(folder / "tokenizer.json", ExitCode::kModel)};
  }
  auto source = open_model_source(folder.string());
  ModelConfig config = read_hf_config(*source);
  Json tokenizer_json = source->tokenizer_json();
  return {std::move(source), std::move(config), std::move(tokenizer_json)};
}

void write_step_tokens(const fs::path& store, const std::string& text, const Json& tokenizer_json,
                       const std::string& model, int64_t length) {
  auto tokenizer = make_tokenizer(tokenizer_json, model);
  auto document = open_documents(find_document_files({text}), {})->next();
  auto ids = tokenizer->encode(document ? document->text() : "");
  if (std::ssize(ids) < length) {
    fail(ExitCode::kData, "{}: has {} tokens, fewer than --length {}", text, ids.size(), length);
  }
  ids.resize(static_cast<size_t>(length));
  TokenStoreWriter writer(store, tokenizer->fingerprint(), tokenizer->vocab_size());
  writer.append(text, ids);
  writer.commit();
}

Recipe make_step_recipe(const cxxopts::ParseResult& parsed, const ModelConfig& config,
                        const fs::path& folder) {
  Json attention = {{"pattern", "full"}};
  if (parsed["attention"].as<std::string>() == "s2") {
    attention = {{"pattern", "shifted_sparse"}, {"group_ratio", 0.25}};
    if (parsed.count("group-size")) {
      attention = {{"pattern", "shifted_sparse"},
                   {"group_size", parsed["group-size"].as<int64_t>()}};
    }
  }
  const Json recipe = {
      {"model",
       {{"path", parsed["model"].as<std::string>()}, {"dtype", parsed["dtype"].as<std::string>()}}},
      {"data", {{"path", (folder / "tokens.h5").string()}, {"shuffle", false}}},
      {"lora",
       {{"r", parsed["rank"].as<int64_t>()},
        {"lora_alpha", 16},
        {"target_modules", {"q_proj", "k_proj", "v_proj", "o_proj"}},
        {"modules_to_save",
         modules_named(config, split(parsed["trainable"].as<std::string>(), ','))}}},
      {"attention", attention},
      {"train",
       {{"steps", parsed["steps"].as<int64_t>()},
        {"seq_len", parsed["length"].as<int64_t>()},
        {"threads", parsed["threads"].as<int64_t>()}}},
      {"optimizer", {{"lr", 2e-5}, {"betas", {0.9, 0.95}}, {"weight_decay", 0.0}}},
      {"lr_schedule", {{"type", "constant"}, {"warmup_steps", 0}}},
      {"output", {{"dir", folder.string()}}}};
  write_json_file(folder / "recipe.yaml", recipe);
  std::vector<std::string> overrides;
  for (const auto& argument : parsed.arguments()) {
    if (argument.key() == "overrides") overrides.push_back(argument.value());
  }
  return load_recipe(folder / "recipe.yaml", overrides);
}

}  // namespace longspan
