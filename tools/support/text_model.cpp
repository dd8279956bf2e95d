#include "tools/support/text_model.h"

#include "checkpoints/hf/hf_tokenizer.h"
#include "checkpoints/hf/hub_cache.h"
#include "checkpoints/hf/special_tokens.h"
#include "checkpoints/meta/meta_source.h"
#include "tools/support/fitted_tokenizer.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

/// What the files beside the weights say.
struct SideFiles {
  Json tokenizer, tokenizer_config, config;  // null: not there
};

SideFiles read_side_files(const fs::path& model) {
  if (!fs::is_directory(model) || MetaSource::is_one(model)) {
    auto source = open_model_source(model);
    return {source->tokenizer_json(), source->side_json("tokenizer_config.json"),
            source->config_json()};
  }
  auto read = [&](const char* name) {
    return fs::exists(model / name) ? read_json_file(model / name, ExitCode::kModel) : Json();
  };
  return {hf_tokenizer_json(model), read("tokenizer_config.json"), read("config.json")};
}

/// bos_token_id of a config.json, where it names a token; many models have one that they never use.
std::optional<int64_t> bos_of(const Json& config, const Tokenizer& tokenizer) {
  const Json bos = config.is_object() ? config.value("bos_token_id", Json()) : Json();
  if (!bos.is_number_integer()) return std::nullopt;
  const auto id = bos.get<int64_t>();
  return id >= 0 && id < tokenizer.vocab_size() ? std::optional(id) : std::nullopt;
}

std::optional<int64_t> embeddings_of(const Json& config) {
  const Json size = config.is_object() ? config.value("vocab_size", Json()) : Json();
  if (!size.is_number_integer() || size <= 0) return std::nullopt;
  return size.get<int64_t>();
}

std::optional<int32_t> checked(std::optional<int64_t> id, const char* name,
                               const Tokenizer& tokenizer, const std::string& place) {
  if (!id) return std::nullopt;
  if (*id < 0 || *id >= tokenizer.vocab_size()) {
    fail(ExitCode::kModel, "{}: {} {} is no token of its vocabulary of {}", place, name, *id,
         tokenizer.vocab_size());
  }
  return static_cast<int32_t>(*id);
}

}  // namespace

TextModel open_text_model(const fs::path& named, bool split_special_tokens) {
  const fs::path model = find_model(named);
  const std::string place = model.string();
  SideFiles files = read_side_files(model);
  if (files.tokenizer.is_null()) {
    fail(ExitCode::kModel,
         "{}: has neither tokenizer.json nor tokenizer.model; put the model's own there", place);
  }
  TextModel text_model;
  if (split_special_tokens) files.tokenizer["split_special_tokens"] = true;
  text_model.tokenizer = make_tokenizer(files.tokenizer, place);
  if (auto embeddings = embeddings_of(files.config)) {
    text_model.tokenizer = fit_to_embeddings(std::move(text_model.tokenizer), *embeddings, place);
  }
  const auto bos = bos_of(files.config, *text_model.tokenizer);
  const auto added_bos = added_bos_token(files.tokenizer, files.tokenizer_config, bos);
  text_model.adds_bos = added_bos.has_value();
  text_model.bos_token_id =
      checked(added_bos ? added_bos : bos, "bos_token_id", *text_model.tokenizer, place);
  const std::vector<int64_t> eos_ids = eos_token_ids_of(files.config, place);
  if (!eos_ids.empty()) {
    text_model.eos_token_id =
        checked(eos_ids.front(), "eos_token_id", *text_model.tokenizer, place);
  }
  return text_model;
}

}  // namespace longspan
