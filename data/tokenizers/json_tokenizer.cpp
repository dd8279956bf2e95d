#include "data/tokenizers/json_tokenizer.h"

#include "data/tokenizers/bpe.h"
#include "data/tokenizers/sentencepiece.h"
#include "data/tokenizers/unigram.h"
#include "src/core/digest.h"
#include "src/core/error.h"
#include "src/core/utf8.h"

namespace longspan {

namespace {

SubwordModelParts read_subword_model(const Json& tokenizer_json, bool byte_level,
                                     const std::string& place) {
  const Json& model = tokenizer_json.at("model");
  if (!model.is_object()) fail(ExitCode::kModel, "{}: model is not a map", place);
  const Json type = model.value("type", model.contains("merges") ? Json("BPE") : Json());
  if (type == "BPE") return read_bpe(tokenizer_json, byte_level, place);
  if (type == "Unigram" && !byte_level) return read_unigram(tokenizer_json, place);
  if (type == "SentencePiece" && !byte_level) return read_sentencepiece(tokenizer_json, place);
  fail(ExitCode::kModel, "{}: model.type {} is not supported{}; expected \"BPE\" or \"Unigram\"",
       place, type.dump(), byte_level ? " with the pre_tokenizer ByteLevel" : "");
}

}  // namespace

struct JsonTokenizer::Scratch {
  RegexScratch regex;
  SubwordScratch model;
};

JsonTokenizer::JsonTokenizer(const Json& tokenizer_json, const std::string& place)
    : normalizer_(tokenizer_json.value("normalizer", Json()), place),
      pre_tokenizer_(tokenizer_json.value("pre_tokenizer", Json()), place),
      split_special_tokens_(tokenizer_json.value("split_special_tokens", false)) {
  auto parts = read_subword_model(tokenizer_json, pre_tokenizer_.byte_level(), place);
  vocabulary_ = std::move(parts.vocabulary);
  model_ = std::move(parts.model);
  verbatim_tokens_ = AddedTokenFinder(added_tokens(false));
  normalized_tokens_ = AddedTokenFinder(added_tokens(true));
  if (pre_tokenizer_.byte_level()) return;
  decoder_.emplace(tokenizer_json.value("decoder", Json()), place);
  // Hugging Face's decoder is given these as they are looked for, with LLaMA 2's blank.
  for (const auto& token : added_tokens(true)) {
    vocabulary_.tokens[static_cast<size_t>(token.id)].text = token.content;
  }
}

JsonTokenizer::~JsonTokenizer() = default;

/// Those that are looked for after normalization, as it makes them, or the others.
std::vector<AddedToken> JsonTokenizer::added_tokens(bool normalized) const {
  std::vector<AddedToken> chosen;
  RegexScratch scratch;
  for (const auto& token : vocabulary_.added_tokens) {
    if (token.normalized != normalized) continue;
    chosen.push_back(token);
    std::string storage;
    if (normalized) chosen.back().content = normalizer_.apply(token.content, storage, scratch);
  }
  return chosen;
}

std::unique_ptr<JsonTokenizer::Scratch> JsonTokenizer::borrow_scratch() const {
  std::lock_guard lock(mutex_);
  if (idle_.empty()) return std::make_unique<Scratch>();
  auto scratch = std::move(idle_.back());
  idle_.pop_back();
  return scratch;
}

std::vector<int32_t> JsonTokenizer::encode(std::string_view text, EncodeNotes* notes) const {
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
      text, split_special_tokens_, scratch->regex,
      [&](std::string_view part) {
        bool first = part.data() == text.data();
        encode_normalized(normalizer_.apply(part, storage, scratch->regex), first, *scratch, ids,
                          notes);
      },
      [&](const AddedToken& token) {
        if (notes != nullptr && token.special) ++notes->special[token.content];
        ids.push_back(token.id);
      });
  std::lock_guard lock(mutex_);
  idle_.push_back(std::move(scratch));
  return ids;
}

void JsonTokenizer::encode_normalized(std::string_view text, bool first, Scratch& scratch,
                                      std::vector<int32_t>& ids, EncodeNotes* notes) const {
  normalized_tokens_.split(
      text, split_special_tokens_, scratch.regex,
      [&](std::string_view part) {
        pre_tokenizer_.split(
            part, first && part.data() == text.data(), scratch.regex,
            [&](std::string_view piece) { model_->encode(piece, scratch.model, ids, notes); });
      },
      [&](const AddedToken& token) {
        if (notes != nullptr && token.special) ++notes->special[token.content];
        ids.push_back(token.id);
      });
}

bool JsonTokenizer::has_token(int64_t id) const {
  return id >= 0 && id < vocab_size() &&
         vocabulary_.tokens[static_cast<size_t>(id)].kind != Vocabulary::Kind::kAbsent;
}

std::string JsonTokenizer::decode(const std::vector<int32_t>& ids, bool skip_special_tokens) const {
  std::string text;
  for (int32_t id : ids) {
    if (id < 0) fail(ExitCode::kData, "tokenizer: {} is no id, expected 0 or more", id);
    if (!has_token(id)) continue;
    const auto& token = vocabulary_.tokens[static_cast<size_t>(id)];
    if (skip_special_tokens && token.kind == Vocabulary::Kind::kSpecial) continue;
    text += decoder_ ? decoder_->bytes_of(token.text) : token.text;
  }
  return text;
}

std::string JsonTokenizer::decode_whole(const std::vector<int32_t>& ids,
                                        bool skip_special_tokens) const {
  std::string text = decode(ids, skip_special_tokens);
  if (decoder_) decoder_->strip(text);
  return text;
}

std::string JsonTokenizer::fingerprint() const {
  Digest digest;
  auto line = [&](const std::string& text) {
    digest.update(fmt::format("{}:{}\n", text.size(), text));
  };
  line(model_->kind());
  line(normalizer_.description() + pre_tokenizer_.description());
  line(model_->options());
  for (const auto& token : vocabulary_.tokens) {
    line(fmt::format("{} {}", static_cast<int>(token.kind), token.text));
  }
  model_->describe(line);
  for (const auto& token : vocabulary_.added_tokens) {
    line(fmt::format("{} {:d} {:d} {:d} {:d} {}", token.id, token.lstrip, token.rstrip,
                     token.single_word, token.normalized, token.content));
  }
  return digest.hex();
}

}  // namespace longspan
