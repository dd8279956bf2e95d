#include "checkpoints/hf/side_tokens.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

namespace longspan {

namespace {

constexpr const char* kFlags[] = {"single_word", "lstrip", "rstrip", "normalized", "special"};

/// An entry of added_tokens without its id: of "<s>", which is special, or {"content": "<s>", ...}.
Json entry_of(const Json& token) {
  const bool text = token.is_string();
  if (!text && !(token.is_object() && token.value("content", Json()).is_string())) return nullptr;
  Json entry = {{"content", text ? token : token["content"]}};
  for (const char* flag : kFlags) {
    const Json said = text ? Json() : token.value(flag, Json());
    entry[flag] = said.is_boolean() ? said : Json(false);
  }
  if (text) entry["special"] = true;
  if (!text && !token.contains("normalized")) entry["normalized"] = entry["special"] == false;
  return entry;
}

/// Those named by their use, special all.
std::vector<Json> named_tokens(const TokenizerSideFiles& files) {
  std::vector<Json> named;
  for (const auto& token : tokens_by_use(files)) {
    Json entry = entry_of(token);
    if (entry.is_null() || entry["content"] == "") continue;
    entry["special"] = true;
    named.push_back(std::move(entry));
  }
  return named;
}

class AddedTokenList {
 public:
  explicit AddedTokenList(Json& tokenizer_json) : json_(tokenizer_json) {
    if (!json_.value("added_tokens", Json()).is_array()) json_["added_tokens"] = Json::array();
    const Json& vocab = json_["model"]["vocab"];
    next_id_ = static_cast<int64_t>(vocab.size());
    for (const auto& token : json_["added_tokens"]) {
      const Json id = token.is_object() ? token.value("id", Json()) : Json();
      if (id.is_number_integer()) next_id_ = std::max(next_id_, id.get<int64_t>() + 1);
    }
  }

  /// With the entry's flags, whatever they were before.
  void put(Json entry) {
    for (auto& token : json_["added_tokens"]) {
      if (!token.is_object() || token.value("content", Json()) != entry["content"]) continue;
      for (const char* flag : kFlags) token[flag] = entry[flag];
      return;
    }
    Json token = {{"id", id_of(entry["content"].get<std::string>())}};
    token.update(entry);
    json_["added_tokens"].push_back(std::move(token));
  }

  bool has(const Json& content) const {
    const Json& tokens = json_["added_tokens"];
    return std::any_of(tokens.begin(), tokens.end(), [&](const Json& token) {
      return token.is_object() && token.value("content", Json()) == content;
    });
  }

 private:
  /// That of the vocabulary, or the next.
  int64_t id_of(const std::string& content) {
    const Json& vocab = json_["model"]["vocab"];
    if (vocab.is_array()) {  // of Unigram
      for (size_t id = 0; id < vocab.size(); ++id) {
        if (vocab[id].is_array() && !vocab[id].empty() && vocab[id][0] == content) {
          return static_cast<int64_t>(id);
        }
      }
    } else if (auto found = vocab.find(content);
               found != vocab.end() && found->is_number_integer()) {
      return found->get<int64_t>();
    }
    return next_id_++;
  }

  Json& json_;
  int64_t next_id_ = 0;
};

/// By the ids that the files give them, which decide the order alone.
std::map<int64_t, Json> listed_tokens(const TokenizerSideFiles& files, const Json& decoder,
                                      const std::vector<Json>& named) {
  std::map<int64_t, Json> listed;
  if (decoder.is_object()) {
    for (const auto& [key, token] : decoder.items()) {
      const auto id = listed_token_id(key);
      Json entry = token.is_object() ? entry_of(token) : Json();
      if (id && !entry.is_null()) listed[*id] = std::move(entry);
    }
    return listed;
  }
  if (!files.added_tokens.is_object()) return listed;
  for (const auto& [content, id] : files.added_tokens.items()) {
    if (!id.is_number_integer() || content.empty()) continue;
    const bool special = std::any_of(
        named.begin(), named.end(), [&](const Json& token) { return token["content"] == content; });
    listed[id.get<int64_t>()] =
        entry_of({{"content", content}, {"normalized", !special}, {"special", special}});
  }
  return listed;
}

}  // namespace

void add_side_tokens(const TokenizerSideFiles& files, Json& tokenizer_json) {
  const Json& config = files.tokenizer_config;
  if (config.is_object() && config.value("split_special_tokens", Json()) == true) {
    tokenizer_json["split_special_tokens"] = true;
  }
  static const Json::json_pointer kVocab("/model/vocab");
  if (!tokenizer_json.is_object() || !tokenizer_json.contains(kVocab)) return;
  const Json decoder = added_tokens_decoder(files);
  const std::vector<Json> named = named_tokens(files);
  AddedTokenList added(tokenizer_json);
  for (const auto& [id, entry] : listed_tokens(files, decoder, named)) {
    // The entries of tokenizer.json count where no file lists tokens with their flags.
    if (decoder.is_object() || !added.has(entry["content"])) added.put(entry);
  }
  for (const auto& token : named) {
    if (!added.has(token["content"])) added.put(token);
  }
}

}  // namespace longspan
