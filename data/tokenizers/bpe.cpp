#include "data/tokenizers/bpe.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "src/core/error.h"
#include "src/core/utf8.h"

namespace longspan {

Bpe::Bpe(BpeVocabulary vocabulary)
    : vocabulary_(std::move(vocabulary)), boundaries_(merge_boundaries()) {
  int32_t rank = 0;
  for (const auto& merge : vocabulary_.merges) {
    merges_.add(merge.left, merge.right, rank++, merge.merged);
  }
}

/// Nothing where what merges make does not tell what they join: a byte's token is not the byte,
/// with ignore_merges it matters what a whole piece is, and unknown neighbours may become one.
std::optional<MergeBoundaries> Bpe::merge_boundaries() const {
  const auto& byte_ids = vocabulary_.byte_ids;
  if (vocabulary_.byte_level || vocabulary_.ignore_merges ||
      std::find(byte_ids.begin(), byte_ids.end(), -1) != byte_ids.end()) {
    return std::nullopt;
  }
  std::unordered_set<int32_t> bytes(byte_ids.begin(), byte_ids.end());
  MergeBoundaries boundaries;
  for (size_t i = 0; i < vocabulary_.merges.size(); ++i) {
    const auto& merge = vocabulary_.merges[i];
    if (bytes.contains(merge.left) || bytes.contains(merge.right)) return std::nullopt;
    boundaries.add(vocabulary_.merged_texts[i]);
  }
  return boundaries;
}

void Bpe::encode(std::string_view piece, SubwordScratch& scratch, std::vector<int32_t>& ids,
                 EncodeNotes* notes) const {
  if (!boundaries_) return encode_word(piece, scratch, ids, notes);
  while (!piece.empty()) {
    size_t end = boundaries_->next(piece);
    encode_word(piece.substr(0, end), scratch, ids, notes);
    piece.remove_prefix(end);
  }
}

void Bpe::encode_word(std::string_view word, SubwordScratch& scratch, std::vector<int32_t>& ids,
                      EncodeNotes* notes) const {
  auto known = scratch.cache.find(word);
  if (!known.empty()) {
    ids.insert(ids.end(), known.begin(), known.end());
    return;
  }
  auto& symbols = scratch.symbols;
  symbols.clear();
  if (vocabulary_.ignore_merges) {
    auto whole = vocabulary_.whole_words.find(word);
    if (whole != vocabulary_.whole_words.end()) symbols.push_back(whole->second);
  }
  bool complete = true;
  if (symbols.empty()) {
    complete = first_symbols(word, symbols);
    merges_.apply(symbols);
  }
  if (complete) {
    scratch.cache.remember(word, symbols);
  } else if (notes != nullptr) {
    note_lost(word, *notes);
  }
  ids.insert(ids.end(), symbols.begin(), symbols.end());
}

/// The token of a first symbol, a byte or a character.
std::optional<int32_t> Bpe::id_of(std::string_view symbol) const {
  if (vocabulary_.byte_level) {
    int32_t id = vocabulary_.byte_ids[static_cast<unsigned char>(symbol[0])];
    return id < 0 ? std::nullopt : std::optional(id);
  }
  size_t at = 0;
  auto found = vocabulary_.character_ids.find(next_code_point(symbol, at));
  if (found == vocabulary_.character_ids.end()) return std::nullopt;
  return found->second;
}

/// Appends the tokens of a character's bytes, unless one of them has none.
bool Bpe::append_bytes(std::string_view character, std::vector<int32_t>& symbols) const {
  const size_t before = symbols.size();
  for (char byte : character) {
    int32_t id = vocabulary_.byte_ids[static_cast<unsigned char>(byte)];
    if (id < 0 || vocabulary_.byte_level) {
      symbols.resize(before);
      return false;
    }
    symbols.push_back(id);
  }
  return true;
}

/// Whether all of the word has tokens.
bool Bpe::first_symbols(std::string_view word, std::vector<int32_t>& symbols) const {
  bool complete = true;
  bool pending = false;  // an unknown one, which tokenizers 0.23 puts behind a byte that follows it
  auto settle = [&] {
    if (std::exchange(pending, false)) symbols.push_back(*vocabulary_.unknown_id);
  };
  for (size_t at = 0; at < word.size();) {
    size_t begin = at++;
    if (!vocabulary_.byte_level) next_code_point(word, at = begin);
    const std::string_view symbol = word.substr(begin, at - begin);
    if (auto id = id_of(symbol)) {
      settle();
      symbols.push_back(*id);
    } else if (!append_bytes(symbol, symbols)) {
      complete = false;
      if (!vocabulary_.fuse_unknown) settle();
      pending = vocabulary_.unknown_id.has_value();
    }
  }
  settle();
  return complete;
}

void Bpe::note_lost(std::string_view word, EncodeNotes& notes) const {
  std::vector<int32_t> symbols;
  for (size_t at = 0; at < word.size();) {
    size_t begin = at;
    next_code_point(word, at);
    const std::string_view character = word.substr(begin, at - begin);
    symbols.clear();
    if (!first_symbols(character, symbols)) ++notes.lost[std::string(character)];
  }
}

std::string Bpe::kind() const {
  return vocabulary_.byte_level ? "byte-level BPE 1" : "byte-fallback BPE 1";
}

std::string Bpe::options() const {
  std::string options = vocabulary_.ignore_merges ? "ignore_merges" : "";
  const auto& byte_ids = vocabulary_.byte_ids;
  const bool gaps = std::find(byte_ids.begin(), byte_ids.end(), -1) != byte_ids.end();
  if (gaps && vocabulary_.unknown_id) {
    options += fmt::format(" unknown {} {:d}", *vocabulary_.unknown_id, vocabulary_.fuse_unknown);
  }
  return options;
}

void Bpe::describe(const std::function<void(const std::string&)>& line) const {
  for (const auto& merge : vocabulary_.merges) {
    line(fmt::format("{} {} {}", merge.left, merge.right, merge.merged));
  }
}

SubwordModelParts read_bpe(const Json& tokenizer_json, bool byte_level, const std::string& place) {
  SubwordModelParts parts;
  std::unordered_map<std::string, int32_t> ids;
  auto bpe =
      read_bpe_vocabulary(tokenizer_json.at("model"), byte_level, place, parts.vocabulary, ids);
  parts.model = std::make_unique<Bpe>(std::move(bpe));
  parts.vocabulary.add(tokenizer_json, ids, place);
  return parts;
}

}  // namespace longspan
