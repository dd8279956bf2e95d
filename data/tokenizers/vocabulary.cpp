#include "data/tokenizers/vocabulary.h"

#include <utility>

#include "src/core/error.h"

namespace longspan {

namespace {

// The largest vocabularies have some 262,144 tokens; an id far beyond is damage, not a token, and
// all ids below it take memory.
constexpr int64_t kMaxId = (1 << 21) - 1;

AddedToken added_token(const Json& json, const std::string& place) {
  AddedToken added;
  added.id = static_cast<int32_t>(token_id(json.at("id"), place));
  added.content = json.at("content").get<std::string>();
  added.special = json.value("special", false);
  added.lstrip = json.value("lstrip", false);
  added.rstrip = json.value("rstrip", false);
  added.single_word = json.value("single_word", false);
  added.normalized = json.value("normalized", !added.special);
  return added;
}

}  // namespace

int64_t token_id(const Json& json, const std::string& place) {
  if (!json.is_number_integer()) {
    fail(ExitCode::kModel, "{}: {} is no id of a token", place, json.dump());
  }
  return json.get<int64_t>();
}

std::string byte_token(int byte) { return fmt::format("<0x{:02X}>", byte); }

Vocabulary::Token& Vocabulary::at(int64_t id, const std::string& text, const std::string& place) {
  if (id < 0 || id > kMaxId) {
    fail(ExitCode::kModel, "{}: token '{}' has the id {}, expected 0 to {}", place, text, id,
         kMaxId);
  }
  auto index = static_cast<size_t>(id);
  if (index >= tokens.size()) tokens.resize(index + 1);
  return tokens[index];
}

void Vocabulary::add(const Json& tokenizer_json,
                     const std::unordered_map<std::string, int32_t>& ids,
                     const std::string& place) {
  const Json list = tokenizer_json.value("added_tokens", Json::array());
  if (!list.is_array()) fail(ExitCode::kModel, "{}: added_tokens is not a list", place);
  for (const auto& json : list) {
    const int64_t id = token_id(json.at("id"), place);
    auto& token = at(id, json.at("content").get<std::string>(), place);
    AddedToken added = added_token(json, place);
    auto found = ids.find(added.content);
    bool own = token.kind == Kind::kAbsent ? found == ids.end()
                                           : found != ids.end() && found->second == id;
    if (!own) {
      fail(ExitCode::kModel, "{}: added token '{}' with the id {} contradicts model.vocab", place,
           added.content, id);
    }
    token.text = added.content;
    token.kind = added.special ? Kind::kSpecial : Kind::kAdded;
    added_tokens.push_back(std::move(added));
  }
}

}  // namespace longspan
