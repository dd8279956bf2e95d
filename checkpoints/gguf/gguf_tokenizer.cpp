#include "checkpoints/gguf/gguf_tokenizer.h"

#include <algorithm>
#include <string_view>
#include <unordered_set>

#include "checkpoints/gguf/gguf_architecture.h"
#include "checkpoints/gguf/gguf_pre_tokenizer.h"
#include "checkpoints/gguf/gguf_token_id.h"
#include "checkpoints/hf/tokenizer_parts.h"
#include "checkpoints/sentencepiece/sentencepiece_json.h"

namespace longspan {

namespace {

constexpr const char* kBos = "tokenizer.ggml.bos_token_id";
constexpr const char* kEos = "tokenizer.ggml.eos_token_id";
constexpr const char* kUnknown = "tokenizer.ggml.unknown_token_id";

/// A list of texts under `key`.
const Json& texts(const GgufReader& gguf, const char* key) {
  const Json* list = gguf.value(key);
  bool right = list && list->is_array();
  for (size_t i = 0; right && i < list->size(); ++i) right = (*list)[i].is_string();
  if (!right) fail(ExitCode::kModel, "{}: {} is missing or no list of texts", gguf.place(), key);
  return *list;
}

bool flag(const GgufReader& gguf, const char* key, bool otherwise) {
  const Json* said = gguf.value(key);
  return said ? *said == true : otherwise;
}

/// token -> id, without those that only fill up the ids. Appended straight into the vector that an
/// ordered object is: its operator[] looks through all keys, which takes seconds for a vocabulary.
Json vocabulary(const GgufReader& gguf, const Json& tokens) {
  Json vocab = Json::object();
  auto& entries = static_cast<Json::object_t::Container&>(vocab.get_ref<Json::object_t&>());
  entries.reserve(tokens.size());
  std::unordered_set<std::string_view> seen;
  for (size_t id = 0; id < tokens.size(); ++id) {
    const auto& token = tokens[id].get_ref<const std::string&>();
    if (!seen.insert(token).second) {
      fail(ExitCode::kModel, "{}: token '{}' stands twice in the vocabulary", gguf.place(), token);
    }
    if (token != fmt::format("[PAD{}]", id)) entries.emplace_back(token, id);
  }
  return vocab;
}

/// tokenizer.ggml.token_type, an entry a token.
std::vector<GgufTokenType> token_types(const GgufReader& gguf, size_t count) {
  const Json* types = gguf.value("tokenizer.ggml.token_type");
  bool right = types && types->is_array() && types->size() == count;
  std::vector<GgufTokenType> result;
  for (size_t i = 0; right && i < count; ++i) {
    const Json& type = (*types)[i];
    right = type.is_number_integer() && type >= 0 && type <= 100;
    if (right) result.push_back(static_cast<GgufTokenType>(type.get<int32_t>()));
  }
  if (!right) {
    fail(ExitCode::kModel,
         "{}: tokenizer.ggml.token_type does not have a type for each of {} tokens", gguf.place(),
         count);
  }
  return result;
}

/// Control tokens, and that for the unknown, are special; user-defined ones are only kept whole.
Json added_tokens(const Json& tokens, const std::vector<GgufTokenType>& types) {
  Json added = Json::array();
  for (size_t id = 0; id < tokens.size(); ++id) {
    bool special = types[id] == GgufTokenType::kControl || types[id] == GgufTokenType::kUnknown;
    if (!special && types[id] != GgufTokenType::kUserDefined) continue;
    added.push_back(added_token(static_cast<int64_t>(id), tokens[id].get<std::string>(), special));
  }
  return added;
}

/// The token of the id under `key`; "" where there is none.
std::string token_of(const GgufReader& gguf, const char* key) {
  const Json& tokens = texts(gguf, "tokenizer.ggml.tokens");
  const auto id = gguf_token_id(gguf, key);
  return id ? tokens[static_cast<size_t>(*id)].get<std::string>() : "";
}

/// The token of the id under `key`, if there is one.
std::optional<SpecialToken> special_token(const GgufReader& gguf, const char* key) {
  const std::string content = token_of(gguf, key);
  if (content.empty()) return std::nullopt;
  return SpecialToken{content, gguf.integer(key)};
}

/// What lies around the vocabulary, and the model without it.
struct Parts {
  Json normalizer, pre_tokenizer, decoder, model;
  bool adds_bos = false;
};

Parts byte_level_parts(const GgufReader& gguf) {
  std::string pre = gguf.text("tokenizer.ggml.pre", "default");
  auto known = find_gguf_pre_tokenizer(pre);
  if (!known) {
    fail(ExitCode::kModel,
         "{}: tokenizer.ggml.pre '{}' is not known; expected one of {}; convert from the original "
         "Hugging Face folder",
         gguf.place(), pre, gguf_pre_tokenizer_names());
  }
  Json decoder = {{"type", "ByteLevel"},
                  {"add_prefix_space", false},
                  {"trim_offsets", true},
                  {"use_regex", true}};
  Parts parts{known->normalizer, known->pre_tokenizer, decoder, bpe_model(), known->adds_bos};
  parts.model["ignore_merges"] = known->ignore_merges;
  parts.model["merges"] = texts(gguf, "tokenizer.ggml.merges");
  return parts;
}

std::vector<float> token_scores(const GgufReader& gguf, size_t count) {
  const Json* stored = gguf.value("tokenizer.ggml.scores");
  bool right = stored && stored->is_array() && stored->size() == count;
  std::vector<float> scores;
  for (size_t i = 0; right && i < count; ++i) {
    right = (*stored)[i].is_number();
    if (right) scores.push_back((*stored)[i].get<float>());
  }
  if (!right) {
    fail(ExitCode::kModel, "{}: tokenizer.ggml.scores does not have a number for each of {} tokens",
         gguf.place(), count);
  }
  return scores;
}

/// The library wants one piece for the unknown, bytes only to fall back to, and no other types.
void make_sound(std::optional<int64_t> unknown_id, SentencePieceModel& model) {
  auto& types = model.types;
  model.byte_fallback = std::count(types.begin(), types.end(), GgufTokenType::kByte) == 256;
  for (auto& type : types) {
    const bool known = type >= GgufTokenType::kNormal && type <= GgufTokenType::kByte;
    const bool stray = type == GgufTokenType::kByte && !model.byte_fallback;
    if (!known || stray) type = GgufTokenType::kNormal;
  }
  auto unknown = std::find(types.begin(), types.end(), GgufTokenType::kUnknown);
  if (unknown == types.end() && unknown_id) unknown = types.begin() + *unknown_id;
  if (unknown == types.end()) {
    unknown = std::find(types.begin(), types.end(), GgufTokenType::kControl);
  }
  if (unknown == types.end()) return;
  std::replace(types.begin(), types.end(), GgufTokenType::kUnknown, GgufTokenType::kControl);
  *unknown = GgufTokenType::kUnknown;
}

/// BPE of "llama", Unigram of "t5".
SentencePieceModel sentencepiece_model(const GgufReader& gguf, const Json& tokens,
                                       const std::vector<GgufTokenType>& types, bool unigram) {
  using Algorithm = SentencePieceModel::Algorithm;
  SentencePieceModel model;
  model.pieces = tokens.get<std::vector<std::string>>();
  model.scores = token_scores(gguf, tokens.size());
  model.types = types;
  model.algorithm = unigram ? Algorithm::kUnigram : Algorithm::kBpe;
  model.add_dummy_prefix = flag(gguf, "tokenizer.ggml.add_space_prefix", true);
  model.remove_extra_whitespaces = flag(gguf, "tokenizer.ggml.remove_extra_whitespaces", false);
  if (const Json* map = gguf.value("tokenizer.ggml.precompiled_charsmap"); map && map->is_array()) {
    for (const auto& byte : *map) {
      model.character_map += static_cast<char>(byte.is_number_integer() ? byte.get<int64_t>() : 0);
    }
  }
  std::optional<int64_t> unknown_id;
  if (!token_of(gguf, kUnknown).empty()) unknown_id = gguf.integer(kUnknown);
  make_sound(unknown_id, model);
  check_sentencepiece_model(model, gguf.place());
  return model;
}

Parts sentencepiece_parts(const GgufReader& gguf, const Json& tokens,
                          const std::vector<GgufTokenType>& types, bool unigram) {
  SentencePieceModel model = sentencepiece_model(gguf, tokens, types, unigram);
  const bool plain = takes_text_as_it_is(model), prefix = model.add_dummy_prefix;
  return {plain ? sentencepiece_normalizer(prefix) : Json(), nullptr, sentencepiece_decoder(prefix),
          sentencepiece_model_json(std::move(model), plain), !unigram};
}

}  // namespace

Json gguf_tokenizer_json(const GgufReader& gguf) {
  std::string model = gguf.text("tokenizer.ggml.model", "none");
  if (model == "none" || model == "no_vocab") return nullptr;
  if (model != "gpt2" && model != "llama" && model != "t5") {
    fail(ExitCode::kModel,
         "{}: tokenizer model '{}' is not supported; expected gpt2 (byte-level BPE), llama "
         "(SentencePiece's BPE) or t5 (its Unigram); convert from the original Hugging Face folder",
         gguf.place(), model);
  }
  const Json& tokens = texts(gguf, "tokenizer.ggml.tokens");
  std::vector<GgufTokenType> types = token_types(gguf, tokens.size());
  Parts parts = model == "gpt2" ? byte_level_parts(gguf)
                                : sentencepiece_parts(gguf, tokens, types, model == "t5");
  const auto added = [&](const char* key, bool otherwise, const char* token) {
    return flag(gguf, key, otherwise) ? special_token(gguf, token) : std::nullopt;
  };
  const auto bos = added("tokenizer.ggml.add_bos_token", parts.adds_bos, kBos);
  const auto eos = added("tokenizer.ggml.add_eos_token", false, kEos);
  if (model == "gpt2") parts.model["vocab"] = vocabulary(gguf, tokens);
  // Where no text is changed the file was made of a tokenizer.json, whose Unigram sums in float64
  // and so tells apart what the library takes for ties.
  const bool is_of_tokenizers = model == "t5" && !parts.normalizer.is_null();
  Json json = {{"version", "1.0"},
               {"truncation", nullptr},
               {"padding", nullptr},
               {"added_tokens", added_tokens(tokens, types)},
               {"normalizer", parts.normalizer},
               {"pre_tokenizer", parts.pre_tokenizer},
               {"post_processor", bos || eos ? template_processing(bos, eos) : Json()},
               {"decoder", parts.decoder},
               {"model", std::move(parts.model)}};
  return is_of_tokenizers ? tokenizer_json_file(std::move(json), gguf.place()) : json;
}

Json gguf_tokenizer_config_json(const GgufReader& gguf) {
  const GgufArchitecture* architecture = find_gguf_architecture(gguf.text("general.architecture"));
  // The class that takes tokenizer.json as it is; GPT2Tokenizer would put its own pre-tokenizer in.
  Json config = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                 {"clean_up_tokenization_spaces", false}};
  if (architecture) config["model_max_length"] = gguf.integer(architecture->key("context_length"));
  for (auto [key, ours] : {std::pair(kBos, "bos_token"), std::pair(kEos, "eos_token"),
                           std::pair(kUnknown, "unk_token"),
                           std::pair("tokenizer.ggml.padding_token_id", "pad_token")}) {
    if (std::string token = token_of(gguf, key); !token.empty()) config[ours] = token;
  }
  return config;
}

}  // namespace longspan
