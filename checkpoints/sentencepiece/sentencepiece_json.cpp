#include "checkpoints/sentencepiece/sentencepiece_json.h"

#include <algorithm>
#include <utility>

#include "checkpoints/hf/tokenizer_parts.h"
#include "src/core/error.h"

namespace longspan {

namespace {

constexpr const char* kType = "SentencePiece";

bool is_filler(const SentencePieceModel& model, size_t id) {
  return model.types[id] == GgufTokenType::kUnused &&
         model.pieces[id] == fmt::format("[PAD{}]", id);
}

Json bpe_of(const SentencePieceModel& model, const std::string& place) {
  Json ids = Json::object();
  // Not by its operator[], which looks through all keys.
  auto& entries = static_cast<Json::object_t::Container&>(ids.get_ref<Json::object_t&>());
  entries.reserve(model.pieces.size());
  Json unknown;
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    if (is_filler(model, id)) continue;
    entries.emplace_back(model.pieces[id], id);
    if (model.types[id] == GgufTokenType::kUnknown) unknown = model.pieces[id];
  }
  Json merges = Json::array();
  for (auto& [left, right] : sentencepiece_merges(model.pieces, model.scores, model.types, place)) {
    merges.push_back(Json::array({std::move(left), std::move(right)}));
  }
  Json bpe = bpe_model();
  bpe["unk_token"] = unknown;
  bpe["fuse_unk"] = true;
  bpe["byte_fallback"] = model.byte_fallback;
  bpe["vocab"] = std::move(ids);
  bpe["merges"] = std::move(merges);
  return bpe;
}

Json unigram_of(const SentencePieceModel& model) {
  Json vocab = Json::array(), unknown;
  size_t size = model.pieces.size();
  while (size > 0 && is_filler(model, size - 1)) --size;
  for (size_t id = 0; id < size; ++id) {
    vocab.push_back(Json::array({model.pieces[id], model.scores[id]}));
    if (model.types[id] == GgufTokenType::kUnknown) unknown = id;
  }
  return {{"type", "Unigram"},
          {"unk_id", unknown},
          {"vocab", std::move(vocab)},
          {"byte_fallback", model.byte_fallback}};
}

/// tokenizers finds a piece that a user defined before it cuts.
void add_user_defined(const SentencePieceModel& model, Json& added_tokens) {
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    if (model.types[id] != GgufTokenType::kUserDefined) continue;
    const std::string& piece = model.pieces[id];
    const bool known = std::any_of(added_tokens.begin(), added_tokens.end(),
                                   [&](const Json& token) { return token["content"] == piece; });
    if (known) continue;
    added_tokens.push_back(added_token(static_cast<int64_t>(id), piece, /*special=*/false));
  }
  std::stable_sort(added_tokens.begin(), added_tokens.end(),
                   [](const Json& a, const Json& b) { return a["id"] < b["id"]; });
}

}  // namespace

Json sentencepiece_model_json(SentencePieceModel model, bool plain) {
  if (plain) model.add_dummy_prefix = false;
  const bool cut_freely =
      plain && model.byte_fallback && model.algorithm == SentencePieceModel::Algorithm::kBpe;
  const std::string bytes = write_sentencepiece_model(model);
  return {{"type", kType},
          {"proto", Json::binary({bytes.begin(), bytes.end()})},
          {"cut_freely", cut_freely}};
}

std::optional<SentencePieceModel> sentencepiece_model_of(const Json& tokenizer_json,
                                                         const std::string& place) {
  static const Json::json_pointer kProto("/model/proto");
  if (!tokenizer_json.is_object() || !tokenizer_json.contains(kProto)) return std::nullopt;
  const Json& proto = tokenizer_json[kProto];
  if (!proto.is_binary()) return std::nullopt;
  const auto& bytes = proto.get_binary();
  return read_sentencepiece_model({reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                                  place);
}

Json tokenizer_json_file(Json tokenizer_json, const std::string& place) {
  const auto model = sentencepiece_model_of(tokenizer_json, place);
  if (!model) return tokenizer_json;
  using Algorithm = SentencePieceModel::Algorithm;
  const bool known = model->algorithm == Algorithm::kBpe || model->algorithm == Algorithm::kUnigram;
  if (!known ||
      tokenizer_json["normalizer"].is_null() == tokenizer_json["pre_tokenizer"].is_null()) {
    fail(ExitCode::kModel,
         "{}: tokenizer.json has nothing for a SentencePiece model of words or characters, or one "
         "that changes its text; put its tokenizer.model there",
         place);
  }
  add_user_defined(*model, tokenizer_json["added_tokens"]);
  tokenizer_json["model"] =
      model->algorithm == Algorithm::kBpe ? bpe_of(*model, place) : unigram_of(*model);
  return tokenizer_json;
}

}  // namespace longspan
