#include "tools/text_model.h"

#include "checkpoints/hf_tokenizer.h"
#include "checkpoints/hub_cache.h"
#include "checkpoints/meta_source.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

std::optional<int32_t> eos_of(const Json& config, const Tokenizer& tokenizer,
                              const std::string& place) {
  Json eos = config.is_object() ? config.value("eos_token_id", Json()) : Json();
  if (eos.is_array() && !eos.empty()) eos = Json(eos[0]);
  if (eos.is_null()) return std::nullopt;
  if (!eos.is_number_integer() || eos.get<int64_t>() < 0 ||
      eos.get<int64_t>() >= tokenizer.vocab_size()) {
    fail(ExitCode::kModel, "{}: eos_token_id {} is no token of its vocabulary of {}", place,
         eos.dump(), tokenizer.vocab_size());
  }
  return eos.get<int32_t>();
}

}  // namespace

TextModel open_text_model(const fs::path& named) {
  fs::path model = find_model(named);
  TextModel text_model;
  Json config;
  if (fs::is_directory(model) && !MetaSource::is_one(model)) {
    Json tokenizer = hf_tokenizer_json(model);
    if (tokenizer.is_null()) {
      fail(ExitCode::kModel, "{}: has neither tokenizer.json nor tokenizer.model", model.string());
    }
    text_model.tokenizer = make_tokenizer(tokenizer, model.string());
    auto path = model / "config.json";
    if (fs::exists(path)) config = read_json_file(path, ExitCode::kModel);
  } else {
    auto source = open_model_source(model);
    text_model.tokenizer = make_tokenizer(source->tokenizer_json(), model.string());
    config = source->config_json();
  }
  text_model.eos_token_id = eos_of(config, *text_model.tokenizer, model.string());
  return text_model;
}

}  // namespace longspan
