#include "data/tokenizers/bpe_vocabulary.h"

#include <unordered_map>
#include <utility>

#include "data/tokenizers/byte_level_alphabet.h"
#include "src/core/error.h"
#include "src/core/utf8.h"

namespace longspan {

namespace {

using IdsByText = std::unordered_map<std::string, int32_t>;

// The largest vocabularies have some 262,144 tokens; an id far beyond is damage, not a token, and
// all ids below it take memory.
constexpr int64_t kMaxId = (1 << 21) - 1;

void refuse_unsupported_options(const Json& model, const std::string& place) {
  const Json type = model.value("type", Json("BPE"));
  if (type != "BPE") {
    fail(ExitCode::kModel, "{}: model.type {} is not supported, expected \"BPE\"", place,
         type.dump());
  }
  for (const char* key : {"dropout", "continuing_subword_prefix", "end_of_word_suffix"}) {
    const Json value = model.value(key, Json());
    if (!value.is_null() && value != "" && value != 0.0) {
      fail(ExitCode::kModel, "{}: model.{} = {} is not supported", place, key, value.dump());
    }
  }
}

/// nlohmann would make a whole number of any.
int64_t id_of(const Json& json, const std::string& place) {
  if (!json.is_number_integer()) {
    fail(ExitCode::kModel, "{}: {} is no id of a token", place, json.dump());
  }
  return json.get<int64_t>();
}

BpeVocabulary::Token& token_at(BpeVocabulary& vocabulary, int64_t id, const std::string& text,
                               const std::string& place) {
  if (id < 0 || id > kMaxId) {
    fail(ExitCode::kModel, "{}: token '{}' has the id {}, expected 0 to {}", place, text, id,
         kMaxId);
  }
  auto index = static_cast<size_t>(id);
  if (index >= vocabulary.tokens.size()) vocabulary.tokens.resize(index + 1);
  return vocabulary.tokens[index];
}

IdsByText read_tokens(const Json& model, const std::string& place, BpeVocabulary& vocabulary) {
  const Json& tokens = model.at("vocab");
  if (!tokens.is_object() || tokens.empty()) {
    fail(ExitCode::kModel, "{}: model.vocab is not a map of tokens to ids", place);
  }
  IdsByText ids;
  ids.reserve(tokens.size());
  for (const auto& [text, id_json] : tokens.items()) {
    int64_t id = id_of(id_json, place);
    auto& token = token_at(vocabulary, id, text, place);
    if (token.kind != BpeVocabulary::Kind::kAbsent) {
      fail(ExitCode::kModel, "{}: two tokens have the id {}; one of them is '{}'", place, id, text);
    }
    auto bytes = vocabulary.byte_fallback ? text : byte_level_bytes(text);
    token = {bytes.value_or(text), BpeVocabulary::Kind::kOrdinary, bytes.has_value()};
    ids.emplace(text, static_cast<int32_t>(id));
  }
  return ids;
}

/// With byte fallback all bytes have a token, so that none of a text is unknown.
void read_first_symbols(const std::string& place, const IdsByText& ids, BpeVocabulary& vocabulary) {
  for (int byte = 0; byte < 256; ++byte) {
    auto name = fmt::format("<0x{:02X}>", byte);
    auto found = ids.find(name);
    if (found == ids.end()) {
      fail(ExitCode::kModel, "{}: model.byte_fallback with a vocabulary that lacks {}", place,
           name);
    }
    vocabulary.byte_ids[static_cast<size_t>(byte)] = found->second;
  }
  for (const auto& [text, id] : ids) {
    size_t end = 0;
    if (text.empty()) continue;
    char32_t character = next_code_point(text, end);
    if (end == text.size()) vocabulary.character_ids.emplace(character, id);
  }
}

void read_byte_ids(const Json& model, const std::string& place, const IdsByText& ids,
                   BpeVocabulary& vocabulary) {
  const Json unk_token = model.value("unk_token", Json());
  for (int byte = 0; byte < 256; ++byte) {
    auto found = ids.find(byte_level_name(static_cast<uint8_t>(byte)));
    vocabulary.byte_ids[static_cast<size_t>(byte)] = found == ids.end() ? -1 : found->second;
    if (found == ids.end() && !unk_token.is_null()) {
      fail(ExitCode::kModel,
           "{}: model.unk_token with a vocabulary that lacks the byte 0x{:02x} is not supported",
           place, byte);
    }
  }
}

std::pair<std::string, std::string> read_pair(const Json& merge, const std::string& place) {
  if (merge.is_array() && merge.size() == 2) {
    return {merge[0].get<std::string>(), merge[1].get<std::string>()};
  }
  if (merge.is_string()) {
    auto text = merge.get<std::string>();
    auto space = text.find(' ');
    if (space != text.npos && text.find(' ', space + 1) == text.npos) {
      return {text.substr(0, space), text.substr(space + 1)};
    }
  }
  fail(ExitCode::kModel, "{}: model.merges: {} is no pair of tokens", place, merge.dump());
}

void read_merges(const Json& model, const std::string& place, const IdsByText& ids,
                 BpeVocabulary& vocabulary) {
  auto known = [&](const std::string& text) {
    auto found = ids.find(text);
    if (found == ids.end()) {
      fail(ExitCode::kModel, "{}: model.merges names '{}', which model.vocab lacks", place, text);
    }
    return found->second;
  };
  const Json& merges = model.at("merges");
  if (!merges.is_array()) fail(ExitCode::kModel, "{}: model.merges is not a list", place);
  vocabulary.merges.reserve(merges.size());
  for (const auto& merge : merges) {
    auto [left, right] = read_pair(merge, place);
    vocabulary.merges.push_back({known(left), known(right), known(left + right)});
  }
}

void read_added_tokens(const Json& tokenizer_json, const std::string& place, const IdsByText& ids,
                       BpeVocabulary& vocabulary) {
  const Json list = tokenizer_json.value("added_tokens", Json::array());
  if (!list.is_array()) fail(ExitCode::kModel, "{}: added_tokens is not a list", place);
  for (const auto& json : list) {
    AddedToken added;
    int64_t id = id_of(json.at("id"), place);
    added.content = json.at("content").get<std::string>();
    added.special = json.value("special", false);
    added.lstrip = json.value("lstrip", false);
    added.rstrip = json.value("rstrip", false);
    added.single_word = json.value("single_word", false);
    added.normalized = json.value("normalized", !added.special);
    auto& token = token_at(vocabulary, id, added.content, place);
    auto found = ids.find(added.content);
    bool own = token.kind == BpeVocabulary::Kind::kAbsent
                   ? found == ids.end()
                   : found != ids.end() && found->second == id;
    if (!own) {
      fail(ExitCode::kModel, "{}: added token '{}' with the id {} contradicts model.vocab", place,
           added.content, id);
    }
    added.id = static_cast<int32_t>(id);
    token.text = added.content;
    token.kind = added.special ? BpeVocabulary::Kind::kSpecial : BpeVocabulary::Kind::kAdded;
    vocabulary.added_tokens.push_back(std::move(added));
  }
}

}  // namespace

BpeVocabulary read_bpe_vocabulary(const Json& tokenizer_json, const std::string& place) {
  const Json& model = tokenizer_json.at("model");
  if (!model.is_object()) fail(ExitCode::kModel, "{}: model is not a map", place);
  refuse_unsupported_options(model, place);
  BpeVocabulary vocabulary;
  vocabulary.byte_fallback = model.value("byte_fallback", false);
  IdsByText ids = read_tokens(model, place, vocabulary);
  if (vocabulary.byte_fallback) {
    read_first_symbols(place, ids, vocabulary);
  } else {
    read_byte_ids(model, place, ids, vocabulary);
  }
  read_merges(model, place, ids, vocabulary);
  vocabulary.ignore_merges = model.value("ignore_merges", false);
  read_added_tokens(tokenizer_json, place, ids, vocabulary);
  return vocabulary;
}

}  // namespace longspan
