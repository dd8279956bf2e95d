#include "data/tokenizers/bpe_vocabulary.h"

#include <unordered_map>
#include <utility>

#include "data/tokenizers/byte_level_alphabet.h"
#include "src/core/error.h"
#include "src/core/utf8.h"

namespace longspan {

namespace {

using IdsByText = std::unordered_map<std::string, int32_t>;

void refuse_unsupported_options(const Json& model, const std::string& place) {
  for (const char* key : {"dropout", "continuing_subword_prefix", "end_of_word_suffix"}) {
    const Json value = model.value(key, Json());
    if (!value.is_null() && value != "" && value != 0.0) {
      fail(ExitCode::kModel, "{}: model.{} = {} is not supported", place, key, value.dump());
    }
  }
}

void read_tokens(const Json& model, const std::string& place, Vocabulary& vocabulary,
                 IdsByText& ids, BpeVocabulary& bpe) {
  const Json& tokens = model.at("vocab");
  if (!tokens.is_object() || tokens.empty()) {
    fail(ExitCode::kModel, "{}: model.vocab is not a map of tokens to ids", place);
  }
  ids.reserve(tokens.size());
  for (const auto& [text, id_json] : tokens.items()) {
    const int64_t id = token_id(id_json, place);
    auto& token = vocabulary.at(id, text, place);
    if (token.kind != Vocabulary::Kind::kAbsent) {
      fail(ExitCode::kModel, "{}: two tokens have the id {}; one of them is '{}'", place, id, text);
    }
    auto whole = bpe.byte_level ? byte_level_bytes(text) : text;
    token = {whole.value_or(text), Vocabulary::Kind::kOrdinary};
    ids.emplace(text, static_cast<int32_t>(id));
    if (bpe.ignore_merges && whole) bpe.whole_words.emplace(*whole, static_cast<int32_t>(id));
  }
}

void read_first_symbols(const IdsByText& ids, BpeVocabulary& bpe) {
  for (int byte = 0; byte < 256; ++byte) {
    auto found =
        ids.find(bpe.byte_level ? byte_level_name(static_cast<uint8_t>(byte)) : byte_token(byte));
    const bool there = found != ids.end() && (bpe.byte_level || bpe.byte_fallback);
    bpe.byte_ids[static_cast<size_t>(byte)] = there ? found->second : -1;
  }
  if (bpe.byte_level) return;
  for (const auto& [text, id] : ids) {
    size_t end = 0;
    if (text.empty()) continue;
    char32_t character = next_code_point(text, end);
    if (end == text.size()) bpe.character_ids.emplace(character, id);
  }
}

/// One that the vocabulary lacks is none: tokenizers asks for it only where a text needs it.
void read_unknown(const Json& model, const IdsByText& ids, BpeVocabulary& bpe) {
  const Json unknown = model.value("unk_token", Json());
  if (unknown.is_null()) return;
  auto found = ids.find(unknown.get<std::string>());
  if (found == ids.end()) return;
  bpe.unknown_id = found->second;
  bpe.fuse_unknown = model.value("fuse_unk", false);
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
                 BpeVocabulary& bpe) {
  auto known = [&](const std::string& text) {
    auto found = ids.find(text);
    if (found == ids.end()) {
      fail(ExitCode::kModel, "{}: model.merges names '{}', which model.vocab lacks", place, text);
    }
    return found->second;
  };
  const Json& merges = model.at("merges");
  if (!merges.is_array()) fail(ExitCode::kModel, "{}: model.merges is not a list", place);
  bpe.merges.reserve(merges.size());
  for (const auto& merge : merges) {
    auto [left, right] = read_pair(merge, place);
    bpe.merges.push_back({known(left), known(right), known(left + right)});
    if (!bpe.byte_level) bpe.merged_texts.push_back(left + right);
  }
}

}  // namespace

BpeVocabulary read_bpe_vocabulary(const Json& model, bool byte_level, const std::string& place,
                                  Vocabulary& vocabulary, IdsByText& ids) {
  refuse_unsupported_options(model, place);
  BpeVocabulary bpe;
  bpe.byte_level = byte_level;
  bpe.byte_fallback = model.value("byte_fallback", false);
  bpe.ignore_merges = model.value("ignore_merges", false);
  if (bpe.byte_level && bpe.byte_fallback) {
    fail(ExitCode::kModel,
         "{}: model.byte_fallback with the pre_tokenizer ByteLevel is not supported", place);
  }
  read_tokens(model, place, vocabulary, ids, bpe);
  read_first_symbols(ids, bpe);
  read_unknown(model, ids, bpe);
  read_merges(model, place, ids, bpe);
  return bpe;
}

}  // namespace longspan
