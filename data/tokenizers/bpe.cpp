#include "data/tokenizers/bpe.h"

#include <unordered_set>

#include "data/tokenizers/word_cache.h"
#include "src/core/error.h"
#include "src/core/sha256.h"
#include "src/core/utf8.h"

namespace longspan {

struct Bpe::Scratch {
  RegexScratch regex;
  WordCache cache;
  std::vector<int32_t> symbols;
};

Bpe::Bpe(const Json& tokenizer_json, const std::string& place)
    : vocabulary_(read_bpe_vocabulary(tokenizer_json, place)),
      normalizer_(tokenizer_json.value("normalizer", Json()), place),
      pre_tokenizer_(tokenizer_json.value("pre_tokenizer", Json()), !vocabulary_.byte_fallback,
                     place),
      boundaries_(merge_boundaries()),
      verbatim_tokens_(added_tokens(false)),
      normalized_tokens_(added_tokens(true)) {
  if (vocabulary_.byte_fallback) {
    decoder_.emplace(tokenizer_json.value("decoder", Json()), place);
    // Hugging Face's decoder is given these as they are looked for, with LLaMA 2's blank.
    for (const auto& token : added_tokens(true)) {
      vocabulary_.tokens[static_cast<size_t>(token.id)].text = token.content;
    }
  }
  int32_t rank = 0;
  for (const auto& merge : vocabulary_.merges) {
    merges_.add(merge.left, merge.right, rank++, merge.merged);
  }
  if (!vocabulary_.ignore_merges) return;
  for (size_t id = 0; id < vocabulary_.tokens.size(); ++id) {
    const auto& token = vocabulary_.tokens[id];
    if (token.whole_word) whole_words_.emplace(token.text, static_cast<int32_t>(id));
  }
}

Bpe::~Bpe() = default;

/// Nothing where what merges make does not tell what they join: a byte's token is not the byte, and
/// with ignore_merges it matters what a whole piece is.
std::optional<MergeBoundaries> Bpe::merge_boundaries() const {
  if (!vocabulary_.byte_fallback || vocabulary_.ignore_merges) return std::nullopt;
  std::unordered_set<int32_t> bytes(vocabulary_.byte_ids.begin(), vocabulary_.byte_ids.end());
  MergeBoundaries boundaries;
  for (const auto& merge : vocabulary_.merges) {
    if (bytes.contains(merge.left) || bytes.contains(merge.right)) return std::nullopt;
    boundaries.add(vocabulary_.tokens[static_cast<size_t>(merge.merged)].text);
  }
  return boundaries;
}

/// Those that are looked for after normalization, as it makes them, or the others.
std::vector<AddedToken> Bpe::added_tokens(bool normalized) const {
  std::vector<AddedToken> chosen;
  for (const auto& token : vocabulary_.added_tokens) {
    if (token.normalized != normalized) continue;
    chosen.push_back(token);
    std::string storage;
    if (normalized) chosen.back().content = normalizer_.apply(token.content, storage);
  }
  return chosen;
}

std::unique_ptr<Bpe::Scratch> Bpe::borrow_scratch() const {
  std::lock_guard lock(mutex_);
  if (idle_.empty()) return std::make_unique<Scratch>();
  auto scratch = std::move(idle_.back());
  idle_.pop_back();
  return scratch;
}

std::vector<int32_t> Bpe::encode(std::string_view text) const {
  std::string repaired;
  if (valid_utf8_prefix(text) < text.size()) {
    repaired = repair_utf8(text).text;
    text = repaired;
  }
  std::vector<int32_t> ids;
  ids.reserve(text.size() / 3);
  auto scratch = borrow_scratch();
  std::string storage;
  verbatim_tokens_.split(
      text, scratch->regex,
      [&](std::string_view part) {
        bool first = part.data() == text.data();
        encode_normalized(normalizer_.apply(part, storage), first, *scratch, ids);
      },
      [&](const AddedToken& token) { ids.push_back(token.id); });
  std::lock_guard lock(mutex_);
  idle_.push_back(std::move(scratch));
  return ids;
}

void Bpe::encode_normalized(std::string_view text, bool first, Scratch& scratch,
                            std::vector<int32_t>& ids) const {
  normalized_tokens_.split(
      text, scratch.regex,
      [&](std::string_view part) {
        pre_tokenizer_.split(part, first && part.data() == text.data(), scratch.regex,
                             [&](std::string_view piece) { encode_words(piece, scratch, ids); });
      },
      [&](const AddedToken& token) { ids.push_back(token.id); });
}

void Bpe::encode_words(std::string_view piece, Scratch& scratch, std::vector<int32_t>& ids) const {
  if (!boundaries_) return encode_word(piece, scratch, ids);
  while (!piece.empty()) {
    size_t end = boundaries_->next(piece);
    encode_word(piece.substr(0, end), scratch, ids);
    piece.remove_prefix(end);
  }
}

void Bpe::encode_word(std::string_view word, Scratch& scratch, std::vector<int32_t>& ids) const {
  auto known = scratch.cache.find(word);
  if (!known.empty()) {
    ids.insert(ids.end(), known.begin(), known.end());
    return;
  }
  auto& symbols = scratch.symbols;
  symbols.clear();
  if (vocabulary_.ignore_merges) {
    auto whole = whole_words_.find(std::string(word));
    if (whole != whole_words_.end()) symbols.push_back(whole->second);
  }
  if (symbols.empty()) {
    first_symbols(word, symbols);
    merges_.apply(symbols);
  }
  scratch.cache.remember(word, symbols);
  ids.insert(ids.end(), symbols.begin(), symbols.end());
}

void Bpe::first_symbols(std::string_view word, std::vector<int32_t>& symbols) const {
  for (size_t at = 0; at < word.size();) {
    size_t begin = at++;
    if (vocabulary_.byte_fallback) {
      auto found = vocabulary_.character_ids.find(next_code_point(word, at = begin));
      if (found != vocabulary_.character_ids.end()) {
        symbols.push_back(found->second);
        continue;
      }
    }
    for (char byte : word.substr(begin, at - begin)) {
      int32_t id = vocabulary_.byte_ids[static_cast<unsigned char>(byte)];
      if (id >= 0) symbols.push_back(id);
    }
  }
}

std::string Bpe::decode(const std::vector<int32_t>& ids, bool skip_special_tokens) const {
  std::string text;
  for (int32_t id : ids) {
    if (id < 0 || id >= vocab_size() ||
        vocabulary_.tokens[static_cast<size_t>(id)].kind == BpeVocabulary::Kind::kAbsent) {
      fail(ExitCode::kData, "tokenizer: the id {} is no token; this vocabulary ends at {}", id,
           vocab_size() - 1);
    }
    const auto& token = vocabulary_.tokens[static_cast<size_t>(id)];
    if (skip_special_tokens && token.kind == BpeVocabulary::Kind::kSpecial) continue;
    text += decoder_ ? decoder_->bytes_of(token.text) : token.text;
  }
  return text;
}

std::string Bpe::decode_whole(const std::vector<int32_t>& ids, bool skip_special_tokens) const {
  std::string text = decode(ids, skip_special_tokens);
  if (decoder_) decoder_->strip(text);
  return text;
}

std::string Bpe::fingerprint() const {
  Sha256 digest;
  auto line = [&](const std::string& text) {
    digest.update(fmt::format("{}:{}\n", text.size(), text));
  };
  line(vocabulary_.byte_fallback ? "byte-fallback BPE 1" : "byte-level BPE 1");
  line(normalizer_.description() + pre_tokenizer_.description());
  line(vocabulary_.ignore_merges ? "ignore_merges" : "");
  for (const auto& token : vocabulary_.tokens) {
    line(fmt::format("{} {}", static_cast<int>(token.kind), token.text));
  }
  for (const auto& merge : vocabulary_.merges) {
    line(fmt::format("{} {} {}", merge.left, merge.right, merge.merged));
  }
  for (const auto& token : vocabulary_.added_tokens) {
    line(fmt::format("{} {:d} {:d} {:d} {:d} {}", token.id, token.lstrip, token.rstrip,
                     token.single_word, token.normalized, token.content));
  }
  return digest.hex_digest();
}

}  // namespace longspan
