#include "data/byte_level_bpe.h"

#include "data/sha256.h"
#include "data/utf8.h"
#include "data/word_cache.h"
#include "src/core/error.h"

namespace longspan {

namespace {

std::vector<AddedToken> tokens_that_are(bool normalized, const std::vector<AddedToken>& tokens) {
  std::vector<AddedToken> chosen;
  for (const auto& token : tokens) {
    if (token.normalized == normalized) chosen.push_back(token);
  }
  return chosen;
}

}  // namespace

struct ByteLevelBpe::Scratch {
  RegexScratch regex;
  WordCache cache;
  std::vector<int32_t> symbols;
};

ByteLevelBpe::ByteLevelBpe(BpeVocabulary vocabulary, PreTokenizer pre_tokenizer)
    : vocabulary_(std::move(vocabulary)),
      pre_tokenizer_(std::move(pre_tokenizer)),
      verbatim_tokens_(tokens_that_are(false, vocabulary_.added_tokens)),
      normalized_tokens_(tokens_that_are(true, vocabulary_.added_tokens)) {
  int32_t rank = 0;
  for (const auto& merge : vocabulary_.merges) {
    merges_.add(merge.left, merge.right, rank++, merge.merged);
  }
  if (!vocabulary_.ignore_merges) return;
  for (size_t id = 0; id < vocabulary_.tokens.size(); ++id) {
    const auto& token = vocabulary_.tokens[id];
    if (token.whole_word) whole_words_.emplace(token.bytes, static_cast<int32_t>(id));
  }
}

ByteLevelBpe::~ByteLevelBpe() = default;

std::unique_ptr<ByteLevelBpe::Scratch> ByteLevelBpe::borrow_scratch() const {
  std::lock_guard lock(mutex_);
  if (idle_.empty()) return std::make_unique<Scratch>();
  auto scratch = std::move(idle_.back());
  idle_.pop_back();
  return scratch;
}

std::vector<int32_t> ByteLevelBpe::encode(std::string_view text) const {
  std::string repaired;
  if (valid_utf8_prefix(text) < text.size()) {
    repaired = repair_utf8(text).text;
    text = repaired;
  }
  std::vector<int32_t> ids;
  ids.reserve(text.size() / 3);
  auto scratch = borrow_scratch();
  auto add_token = [&](const AddedToken& token) { ids.push_back(token.id); };
  verbatim_tokens_.split(
      text, scratch->regex,
      [&](std::string_view part) {
        normalized_tokens_.split(
            part, scratch->regex,
            [&](std::string_view plain) { encode_text(plain, *scratch, ids); }, add_token);
      },
      add_token);
  std::lock_guard lock(mutex_);
  idle_.push_back(std::move(scratch));
  return ids;
}

void ByteLevelBpe::encode_text(std::string_view text, Scratch& scratch,
                               std::vector<int32_t>& ids) const {
  pre_tokenizer_.split(text, scratch.regex, [&](std::string_view piece) {
    auto known = scratch.cache.find(piece);
    if (known.empty()) {
      encode_piece(piece, scratch, ids);
    } else {
      ids.insert(ids.end(), known.begin(), known.end());
    }
  });
}

void ByteLevelBpe::encode_piece(std::string_view piece, Scratch& scratch,
                                std::vector<int32_t>& ids) const {
  auto& symbols = scratch.symbols;
  symbols.clear();
  if (vocabulary_.ignore_merges) {
    auto whole = whole_words_.find(std::string(piece));
    if (whole != whole_words_.end()) symbols.push_back(whole->second);
  }
  if (symbols.empty()) {
    for (char byte : piece) {
      int32_t id = vocabulary_.byte_ids[static_cast<unsigned char>(byte)];
      if (id >= 0) symbols.push_back(id);
    }
    merges_.apply(symbols);
  }
  scratch.cache.remember(piece, symbols);
  ids.insert(ids.end(), symbols.begin(), symbols.end());
}

std::string ByteLevelBpe::decode(const std::vector<int32_t>& ids, bool skip_special_tokens) const {
  std::string text;
  for (int32_t id : ids) {
    if (id < 0 || id >= vocab_size() ||
        vocabulary_.tokens[static_cast<size_t>(id)].kind == BpeVocabulary::Kind::kAbsent) {
      fail(ExitCode::kData, "tokenizer: the id {} is no token; this vocabulary ends at {}", id,
           vocab_size() - 1);
    }
    const auto& token = vocabulary_.tokens[static_cast<size_t>(id)];
    if (skip_special_tokens && token.kind == BpeVocabulary::Kind::kSpecial) continue;
    text += token.bytes;
  }
  return text;
}

std::string ByteLevelBpe::fingerprint() const {
  Sha256 digest;
  auto line = [&](const std::string& text) {
    digest.update(fmt::format("{}:{}\n", text.size(), text));
  };
  line("byte-level BPE 1");
  line(pre_tokenizer_.description());
  line(vocabulary_.ignore_merges ? "ignore_merges" : "");
  for (const auto& token : vocabulary_.tokens) {
    line(fmt::format("{} {}", static_cast<int>(token.kind), token.bytes));
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
