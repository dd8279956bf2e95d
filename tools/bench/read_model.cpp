#include "tools/bench/read_model.h"

#include <ATen/ops/randint.h>
#include <ATen/ops/tensor.h>

#include "checkpoints/hf/hf_config.h"
#include "checkpoints/hf/hf_importer.h"
#include "data/documents/document_files.h"
#include "data/documents/document_source.h"
#include "data/tokenizers/tokenizer.h"
#include "src/core/text.h"
#include "tools/bench/random_weights.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

std::vector<int64_t> tokens_of(const std::string& text, const Json& tokenizer_json,
                               const std::string& model, int64_t count) {
  const auto tokenizer = make_tokenizer(tokenizer_json, model);
  const auto documents = open_documents(find_document_files({text}), {});
  std::vector<int64_t> ids;
  while (std::ssize(ids) < count) {
    const auto document = documents->next();
    if (!document) {
      fail(ExitCode::kData, "{}: has {} tokens, fewer than the {} that --lengths wants", text,
           human_count(std::ssize(ids)), human_count(count));
    }
    const auto more = tokenizer->encode(document->text());
    ids.insert(ids.end(), more.begin(), more.end());
  }
  ids.resize(static_cast<size_t>(count));
  return ids;
}

}  // namespace

ReadModel open_read_model(const cxxopts::ParseResult& parsed, int64_t tokens) {
  const fs::path folder = parsed["model"].as<std::string>();
  const bool drawn = parsed.count("random-weights") > 0;
  if (parsed.count("layers") && !drawn) {
    fail(ExitCode::kUsage, "--layers: is for --random-weights, whose model may have any number");
  }
  const fs::path config = folder / "config.json";
  ReadModel opened;
  opened.name = config.parent_path().filename().string();
  Json tokenizer_json;
  if (drawn) {
    Json json = read_json_file(config, ExitCode::kModel);
    if (parsed.count("layers")) json["num_hidden_layers"] = parsed["layers"].as<int64_t>();
    opened.model = make_causal_lm(read_hf_config(json, config.string()));
    draw_weights(*opened.model, at::kBFloat16, at::kCPU);
    if (parsed.count("text")) {
      tokenizer_json = read_json_file(folder / "tokenizer.json", ExitCode::kModel);
    }
  } else {
    opened.source = open_model_source(folder.string());
    opened.model = import_model(*opened.source, {.dtype = at::kBFloat16});
    tokenizer_json = opened.source->tokenizer_json();
  }
  opened.ids = parsed.count("text")
                   ? at::tensor(tokens_of(parsed["text"].as<std::string>(), tokenizer_json,
                                          folder.string(), tokens),
                                at::kLong)
                         .unsqueeze(0)
                   : at::randint(opened.model->config().vocab_size, {1, tokens}, at::kLong);
  return opened;
}

}  // namespace longspan
