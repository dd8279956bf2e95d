#include "checkpoints/hf/hf_tokenizer.h"

#include "checkpoints/hf/gemma_tokenizer.h"
#include "checkpoints/hf/side_tokens.h"
#include "checkpoints/hf/vocab_and_merges.h"
#include "checkpoints/sentencepiece/sentencepiece_tokenizer.h"
#include "src/core/text.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

constexpr const char* kTokenizerFiles[] = {"tokenizer.json",
                                           "tokenizer_config.json",
                                           "special_tokens_map.json",
                                           "added_tokens.json",
                                           "vocab.json",
                                           "merges.txt",
                                           "tokenizer.model",
                                           "tekken.json",
                                           "chat_template.jinja",
                                           "chat_template.json"};

Json read_if_there(const fs::path& path) {
  return fs::exists(path) ? read_json_file(path, ExitCode::kModel) : Json();
}

/// {"tokenizer_class": the one that AutoTokenizer takes for a LLaMA}, which its
/// tokenizer_config.json names, or else its config.json; null where neither does, and of other
/// families.
Json class_of_llama(const fs::path& folder, const Json& tokenizer_config) {
  constexpr const char* kClass = "tokenizer_class";
  const Json config = read_if_there(folder / "config.json");
  if (!config.is_object() || config.value("model_type", Json()) != "llama") return nullptr;
  for (const Json* file : {&tokenizer_config, &config}) {
    const Json name = file->is_object() ? file->value(kClass, Json()) : Json();
    if (!name.is_null()) return {{kClass, name}};
  }
  return nullptr;
}

bool has_byte_fallback(const Json& tokenizer_json) {
  static const Json::json_pointer kByteFallback("/model/byte_fallback");
  return tokenizer_json.contains(kByteFallback) && tokenizer_json[kByteFallback] == true;
}

bool has_merges(const Json& tokenizer_json) {
  return tokenizer_json.contains(Json::json_pointer("/model/merges"));
}

}  // namespace

Json hf_tokenizer_json(const fs::path& folder) {
  TokenizerSideFiles files{read_if_there(folder / "tokenizer_config.json"),
                           read_if_there(folder / "special_tokens_map.json"),
                           read_if_there(folder / "added_tokens.json")};
  Json json = read_if_there(folder / "tokenizer.json");
  const fs::path path = folder / "tokenizer.model";
  if (json.is_null() && !fs::exists(path) && has_vocab_and_merges(folder)) {
    json = vocab_and_merges_json(folder, files.tokenizer_config);
    files.tokenizer_config = with_default_tokens(folder, json, std::move(files.tokenizer_config));
  }
  if (!json.is_null()) {
    const Json named = class_of_llama(folder, files.tokenizer_config);
    if (has_byte_fallback(json) && is_llama_tokenizer(named)) {
      apply_llama_tokenizer(files.tokenizer_config, json);
    } else if (has_merges(json) && is_gemma_tokenizer(named)) {
      apply_gemma_tokenizer(files.tokenizer_config, json,
                            (folder / "tokenizer_config.json").string());
    }
    add_side_tokens(files, json);
    return json;
  }
  if (!fs::exists(path)) return nullptr;
  SentencePieceModel model =
      read_sentencepiece_model(read_file(path, ExitCode::kModel), path.string());
  try {
    return sentencepiece_tokenizer_json(std::move(model), files, path.string());
  } catch (const Json::exception& e) {
    fail(ExitCode::kModel, "{}: a file beside it is malformed: {}", path.string(), e.what());
  }
}

bool has_hf_tokenizer(const fs::path& folder) {
  return fs::exists(folder / "tokenizer.json") || fs::exists(folder / "tokenizer.model") ||
         has_vocab_and_merges(folder);
}

std::vector<std::pair<std::string, std::string>> hf_tokenizer_files(const fs::path& folder) {
  std::vector<std::pair<std::string, std::string>> files;
  for (const char* name : kTokenizerFiles) {
    if (fs::exists(folder / name)) {
      files.emplace_back(name, read_file(folder / name, ExitCode::kModel));
    }
  }
  const fs::path templates = folder / kChatTemplatesFolder;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(templates, none)) {
    if (!entry.is_regular_file() || entry.path().extension() != ".jinja") continue;
    files.emplace_back(std::string(kChatTemplatesFolder) + "/" + entry.path().filename().string(),
                       read_file(entry.path(), ExitCode::kModel));
  }
  return files;
}

}  // namespace longspan
