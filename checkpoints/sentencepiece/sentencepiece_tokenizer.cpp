#include "checkpoints/sentencepiece/sentencepiece_tokenizer.h"

#include <algorithm>
#include <map>

#include "checkpoints/hf/tokenizer_parts.h"
#include "checkpoints/sentencepiece/sentencepiece_json.h"
#include "src/core/error.h"

namespace longspan {

namespace {

bool flag(const Json& map, const char* key, bool otherwise) {
  Json value = map.is_object() ? map.value(key, Json()) : Json();
  return value.is_boolean() ? value.get<bool>() : otherwise;
}

constexpr const char* kCodeLlama = "CodeLlamaTokenizer";

/// "</s>" of "</s>" or {"content": "</s>", ...}.
std::string content_of(const Json& token) {
  if (token.is_string()) return token.get<std::string>();
  return token.is_object() ? token.value("content", "") : "";
}

/// The pieces and the tokens that are looked for before cutting, as the side files change them.
class PieceVocabulary {
 public:
  PieceVocabulary(const SentencePieceModel& model, const TokenizerSideFiles& files,
                  std::string place)
      : pieces_(model.pieces),
        keeps_normalized_(is_llama_tokenizer(files.tokenizer_config)),
        place_(std::move(place)) {
    for (size_t id = 0; id < pieces_.size(); ++id) ids_.emplace(pieces_[id], id);
    for (size_t id = 0; id < pieces_.size(); ++id) {
      bool special =
          model.types[id] == GgufTokenType::kControl || model.types[id] == GgufTokenType::kUnknown;
      // The library itself finds those that a user defined; LlamaTokenizer does before it cuts.
      bool defined = keeps_normalized_ && model.types[id] == GgufTokenType::kUserDefined;
      if (special || defined) {
        add(static_cast<int64_t>(id), pieces_[id], special);
      }
    }
    if (const Json listed = added_tokens_decoder(files); listed.is_object()) {
      for (const auto& [id, token] : listed.items()) add_listed(id, token);
    } else {
      add_by_content(files.added_tokens);
    }
    mark_special(files);
  }

  const std::vector<std::string>& pieces() const { return pieces_; }
  std::optional<int64_t> id_of(const std::string& content) const {
    auto found = ids_.find(content);
    if (found == ids_.end()) return std::nullopt;
    return found->second;
  }
  Json added_tokens() const {
    Json list = Json::array();
    for (const auto& [id, token] : added_) list.push_back(token);
    return list;
  }

 private:
  Json& add(int64_t id, const std::string& content, bool special) {
    return added_[id] = added_token(id, content, special);
  }

  /// An entry of added_tokens_decoder. One of a piece's id takes the piece's place.
  void add_listed(const std::string& id_text, const Json& token) {
    const std::string content = content_of(token);
    const auto listed = listed_token_id(id_text);
    if (!listed || content.empty() || !token.is_object()) {
      fail(ExitCode::kModel, "{}: added_tokens_decoder: {}: {} is no token", place_, id_text,
           token.dump());
    }
    const int64_t id = *listed;
    auto known = id_of(content);
    if (known && *known != id) contradiction(content, id, *known);
    if (!known && id < static_cast<int64_t>(pieces_.size())) {
      ids_.erase(pieces_[static_cast<size_t>(id)]);
      pieces_[static_cast<size_t>(id)] = content;
    }
    ids_[content] = id;
    bool special = flag(token, "special", false);
    Json& added = add(id, content, special);
    for (const char* key : {"single_word", "lstrip", "rstrip"}) {
      added[key] = flag(token, key, false);
    }
    if (keeps_normalized_) added["normalized"] = flag(token, "normalized", !special);
  }

  /// added_tokens.json: content -> id.
  void add_by_content(const Json& tokens) {
    if (!tokens.is_object()) return;
    for (const auto& [content, id_json] : tokens.items()) {
      if (!id_json.is_number_integer() || id_json < 0 || content.empty()) {
        fail(ExitCode::kModel, "{}: added_tokens.json: '{}': {} is no id", place_, content,
             id_json.dump());
      }
      auto id = id_json.get<int64_t>();
      auto known = id_of(content);
      if (known ? *known != id : id < static_cast<int64_t>(pieces_.size())) {
        contradiction(content, id, known.value_or(id));
      }
      ids_[content] = id;
      add(id, content, false)["normalized"] = keeps_normalized_;
    }
  }

  /// The tokens that the files name by their use; those that are none yet get the next ids.
  void mark_special(const TokenizerSideFiles& files) {
    for (const auto& token : tokens_by_use(files)) {
      std::string content = content_of(token);
      if (content.empty()) continue;
      auto id = id_of(content);
      if (!id) {
        id = std::max<int64_t>(static_cast<int64_t>(pieces_.size()),
                               added_.empty() ? 0 : added_.rbegin()->first + 1);
        ids_[content] = *id;
      }
      if (auto known = added_.find(*id); known != added_.end()) {
        known->second["special"] = true;
        known->second["normalized"] = false;
        continue;
      }
      Json& added = add(*id, content, true);
      for (const char* key : {"single_word", "lstrip", "rstrip"}) {
        added[key] = flag(token, key, false);
      }
    }
  }

  [[noreturn]] void contradiction(const std::string& content, int64_t id, int64_t known) const {
    fail(ExitCode::kModel,
         "{}: the added token '{}' has the id {}, but the id {} is taken or the token is there "
         "already",
         place_, content, id, known);
  }

  std::vector<std::string> pieces_;
  std::map<std::string, int64_t> ids_;  // of pieces and added tokens
  std::map<int64_t, Json> added_;
  bool keeps_normalized_;
  std::string place_;
};

/// With the tokens that `add_bos_token` and `add_eos_token` want.
Json post_processor(const SentencePieceModel& model, const TokenizerSideFiles& files,
                    const PieceVocabulary& vocabulary) {
  const auto special = [&](const char* key,
                           const std::string& otherwise) -> std::optional<SpecialToken> {
    std::string content;
    for (const Json* map : {&files.tokenizer_config, &files.special_tokens_map}) {
      if (content.empty() && map->is_object()) content = content_of(map->value(key, Json()));
    }
    if (content.empty()) content = otherwise;
    const auto id = vocabulary.id_of(content);
    if (!id) return std::nullopt;
    return SpecialToken{content, *id};
  };
  std::optional<SpecialToken> bos, eos;
  if (flag(files.tokenizer_config, "add_bos_token", true)) {
    bos = special("bos_token", model.bos_piece);
  }
  if (flag(files.tokenizer_config, "add_eos_token", false)) {
    eos = special("eos_token", model.eos_piece);
  }
  return template_processing(bos, eos);
}

/// Whether a user-defined piece has a sign for a space: the library looks for it in the text before
/// its spaces become signs.
bool defines_blanks(const SentencePieceModel& model) {
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    if (model.types[id] == GgufTokenType::kUserDefined &&
        model.pieces[id].find("\u2581") != std::string::npos) {
      return true;
    }
  }
  return false;
}

}  // namespace

bool is_llama_tokenizer(const Json& tokenizer_config) {
  return names_tokenizer_class(tokenizer_config, "LlamaTokenizer") ||
         names_tokenizer_class(tokenizer_config, kCodeLlama);
}

void apply_llama_tokenizer(const Json& tokenizer_config, Json& tokenizer_json) {
  bool prefix = flag(tokenizer_config, "add_prefix_space", true);
  bool legacy = flag(tokenizer_config, "legacy", false) &&
                !names_tokenizer_class(tokenizer_config, kCodeLlama);
  tokenizer_json["normalizer"] = nullptr;
  tokenizer_json["pre_tokenizer"] = {{"type", "Metaspace"},
                                     {"replacement", "\u2581"},
                                     {"prepend_scheme", !prefix  ? "never"
                                                        : legacy ? "always"
                                                                 : "first"},
                                     {"split", false}};
  tokenizer_json["decoder"] = sentencepiece_decoder(prefix);
}

Json sentencepiece_tokenizer_json(SentencePieceModel model, const TokenizerSideFiles& files,
                                  const std::string& place) {
  PieceVocabulary vocabulary(model, files, place);
  const bool llama = is_llama_tokenizer(files.tokenizer_config);
  const bool prefix = model.add_dummy_prefix;
  const bool plain = takes_text_as_it_is(model) && (llama || !defines_blanks(model));
  Json json = {{"version", "1.0"},
               {"truncation", nullptr},
               {"padding", nullptr},
               {"added_tokens", vocabulary.added_tokens()},
               {"normalizer", plain ? sentencepiece_normalizer(prefix) : Json()},
               {"pre_tokenizer", nullptr},
               {"post_processor", post_processor(model, files, vocabulary)},
               {"decoder", sentencepiece_decoder(prefix)}};
  model.pieces = vocabulary.pieces();
  json["model"] = sentencepiece_model_json(std::move(model), plain);
  if (llama && plain) apply_llama_tokenizer(files.tokenizer_config, json);
  return json;
}

}  // namespace longspan
