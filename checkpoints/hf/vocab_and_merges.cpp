#include "checkpoints/hf/vocab_and_merges.h"

#include <string>

#include "checkpoints/gguf/gguf_pre_tokenizer.h"
#include "src/core/text.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

std::string text_of(const Json& map, const char* key) {
  const Json value = map.is_object() ? map.value(key, Json()) : Json();
  return value.is_string() ? value.get<std::string>() : "";
}

std::string tokenizer_class(const Json& tokenizer_config) {
  return text_of(tokenizer_config, "tokenizer_class");
}

bool is_qwen2(const fs::path& folder, const Json& tokenizer_config) {
  const std::string name = tokenizer_class(tokenizer_config);
  if (!name.empty()) return name.starts_with("Qwen2Tokenizer");
  const fs::path config = folder / "config.json";
  if (!fs::exists(config)) return false;
  return text_of(read_json_file(config, ExitCode::kModel), "model_type").starts_with("qwen");
}

/// "a b" a line; the first may be "#version: 0.2".
Json read_merge_lines(const fs::path& path) {
  Json merges = Json::array();
  size_t number = 0;
  for (std::string& line : split(read_file(path, ExitCode::kModel), '\n')) {
    ++number;
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty() || line.starts_with("#version")) continue;
    const size_t blank = line.find(' ');
    if (blank == line.npos || line.find(' ', blank + 1) != line.npos) {
      fail(ExitCode::kModel, "{}: line {}: '{}' is no merge, expected two tokens with a space",
           path.string(), number, line);
    }
    merges.push_back(Json::array({line.substr(0, blank), line.substr(blank + 1)}));
  }
  return merges;
}

}  // namespace

bool has_vocab_and_merges(const fs::path& folder) {
  return fs::exists(folder / "vocab.json") && fs::exists(folder / "merges.txt");
}

Json vocab_and_merges_json(const fs::path& folder, const Json& tokenizer_config) {
  Json vocab = read_json_file(folder / "vocab.json", ExitCode::kModel);
  if (!vocab.is_object()) {
    fail(ExitCode::kModel, "{}: is no map of tokens to ids", (folder / "vocab.json").string());
  }
  const auto pre = find_gguf_pre_tokenizer(is_qwen2(folder, tokenizer_config) ? "qwen2" : "gpt-2");
  Json json = {{"version", "1.0"},
               {"added_tokens", Json::array()},
               {"normalizer", pre->normalizer},
               {"pre_tokenizer", pre->pre_tokenizer},
               {"post_processor", nullptr},
               {"decoder", {{"type", "ByteLevel"}}},
               {"model", {{"type", "BPE"}}}};
  const Json prefix =
      tokenizer_config.is_object() ? tokenizer_config.value("add_prefix_space", Json()) : Json();
  Json& steps = json["pre_tokenizer"];
  Json& last = steps["type"] == "Sequence" ? steps["pretokenizers"].back() : steps;
  last["add_prefix_space"] = prefix == true;
  json["model"]["vocab"] = std::move(vocab);
  json["model"]["merges"] = read_merge_lines(folder / "merges.txt");
  return json;
}

Json with_default_tokens(const fs::path& folder, const Json& tokenizer_json,
                         Json tokenizer_config) {
  constexpr const char* kDefault = "<|endoftext|>";
  if (!tokenizer_config.is_object()) tokenizer_config = Json::object();
  const bool qwen2 = is_qwen2(folder, tokenizer_config);
  const bool named = qwen2 || tokenizer_class(tokenizer_config).starts_with("GPT2Tokenizer");
  if (!named && !tokenizer_json["model"]["vocab"].contains(kDefault)) return tokenizer_config;
  for (const char* use : {"unk_token", "eos_token", qwen2 ? "pad_token" : "bos_token"}) {
    if (!tokenizer_config.contains(use)) tokenizer_config[use] = kDefault;
  }
  return tokenizer_config;
}

}  // namespace longspan
