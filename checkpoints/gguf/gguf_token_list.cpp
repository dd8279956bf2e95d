#include "checkpoints/gguf/gguf_token_list.h"

#include <utility>

#include "src/core/error.h"
#include "src/core/log.h"

namespace longspan {

namespace {

class TokenListReader {
 public:
  TokenListReader(int64_t vocab_size, const std::string& place)
      : vocab_size_(vocab_size), place_(place) {
    for (int64_t id = 0; id < vocab_size; ++id) {
      list_.tokens.push_back(fmt::format("[PAD{}]", id));
    }
    list_.types.assign(list_.tokens.size(), GgufTokenType::kUnused);
    list_.scores.assign(list_.tokens.size(), 0);
  }

  GgufTokenList read(const Json& tokenizer, const std::optional<SentencePieceModel>& pieces) {
    const Json& model = gguf_member(tokenizer, "model", place_);
    if (pieces) {
      put_pieces(*pieces);
    } else if (model.value("type", Json()) == "Unigram") {
      put_unigram(model);
    } else {
      put_bpe(model);
    }
    for (const auto& added : tokenizer.value("added_tokens", Json::array())) {
      const bool special = added.value("special", false);
      put(gguf_member(added, "id", place_), added.value("content", ""),
          special ? GgufTokenType::kControl : GgufTokenType::kUserDefined, kAddedScore);
    }
    if (!beyond_.empty()) {
      log_warning(
          "{}: {} tokens, '{}' the first, have ids beyond the {} embeddings of "
          "the model and are left out",
          place_, beyond_.size(), beyond_.front(), vocab_size_);
    }
    if (unknown_id_ >= 0 && unknown_id_ < vocab_size_) {
      list_.types[static_cast<size_t>(unknown_id_)] = GgufTokenType::kUnknown;
    }
    return std::move(list_);
  }

 private:
  static constexpr float kAddedScore = -1000;  // as llama.cpp's converter

  void put(const Json& id, const std::string& token, GgufTokenType type, float score) {
    if (!id.is_number_integer() || id < 0) {
      refuse_for_gguf(place_, fmt::format("token '{}' has the id {}", token, id.dump()));
    }
    if (id >= vocab_size_) {
      beyond_.push_back(token);
      return;
    }
    list_.tokens[id.get<size_t>()] = token;
    list_.types[id.get<size_t>()] = type;
    list_.scores[id.get<size_t>()] = score;
  }

  void put_pieces(const SentencePieceModel& model) {
    for (size_t id = 0; id < model.pieces.size(); ++id) {
      put(id, model.pieces[id], model.types[id], model.scores[id]);
      if (model.types[id] == GgufTokenType::kUnknown) unknown_id_ = static_cast<int64_t>(id);
    }
  }

  void put_unigram(const Json& model) {
    const bool byte_fallback = model.value("byte_fallback", false);
    int64_t id = 0;
    for (const auto& piece : gguf_member(model, "vocab", place_)) {
      const auto token = piece.at(0).get<std::string>();
      const bool byte = byte_fallback && is_byte_token(token);
      put(id++, token, byte ? GgufTokenType::kByte : GgufTokenType::kNormal,
          piece.at(1).get<float>());
    }
    if (const Json unknown = model.value("unk_id", Json()); unknown.is_number_integer()) {
      unknown_id_ = unknown.get<int64_t>();
    }
  }

  void put_bpe(const Json& model) {
    const bool byte_fallback = model.value("byte_fallback", false);
    const Json unknown = model.value("unk_token", Json());
    for (const auto& [token, id] : gguf_member(model, "vocab", place_).items()) {
      const bool byte = byte_fallback && is_byte_token(token);
      put(id, token, byte ? GgufTokenType::kByte : GgufTokenType::kNormal, 0);
      if (byte_fallback && unknown == token) unknown_id_ = id.get<int64_t>();
    }
  }

  int64_t vocab_size_;
  const std::string& place_;
  GgufTokenList list_;
  int64_t unknown_id_ = -1;
  std::vector<std::string> beyond_;  // the embeddings
};

}  // namespace

[[noreturn]] void refuse_for_gguf(const std::string& place, const std::string& what) {
  fail(ExitCode::kModel, "{}: {}; convert to a folder instead (an OUT without .gguf)", place, what);
}

const Json& gguf_member(const Json& json, const char* key, const std::string& place) {
  auto found = json.find(key);
  if (found == json.end()) refuse_for_gguf(place, fmt::format("tokenizer.json has no '{}'", key));
  return *found;
}

GgufTokenList gguf_token_list(const Json& tokenizer_json,
                              const std::optional<SentencePieceModel>& pieces, int64_t embeddings,
                              const std::string& place) {
  return TokenListReader(embeddings, place).read(tokenizer_json, pieces);
}

}  // namespace longspan
