#include "checkpoints/gguf/gguf_vocabulary.h"

#include <algorithm>
#include <unordered_map>

#include "checkpoints/gguf/gguf_chat_templates.h"
#include "checkpoints/gguf/gguf_end_tokens.h"
#include "checkpoints/gguf/gguf_pre_tokenizer.h"
#include "checkpoints/gguf/gguf_sentencepiece.h"
#include "checkpoints/gguf/gguf_token_list.h"
#include "checkpoints/hf/special_tokens.h"
#include "checkpoints/hf/tokenizer_parts.h"
#include "checkpoints/sentencepiece/sentencepiece_json.h"
#include "src/core/log.h"

namespace longspan {

namespace {

using Merges = std::vector<std::pair<std::string, std::string>>;

/// "a b" or ["a", "b"].
Merges read_merges(const Json& model, const std::string& place) {
  Merges merges;
  for (const auto& merge : gguf_member(model, "merges", place)) {
    if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      merges.emplace_back(merge[0], merge[1]);
      continue;
    }
    std::string text = merge.is_string() ? merge.get<std::string>() : "";
    size_t blank = text.find(' ');
    if (blank == text.npos) refuse_for_gguf(place, fmt::format("merge {} is none", merge.dump()));
    merges.emplace_back(text.substr(0, blank), text.substr(blank + 1));
  }
  return merges;
}

std::vector<int32_t> as_numbers(const std::vector<GgufTokenType>& types) {
  std::vector<int32_t> numbers;
  for (GgufTokenType type : types) numbers.push_back(static_cast<int32_t>(type));
  return numbers;
}

void write_byte_level(const Json& tokenizer, const GgufTokenList& vocabulary,
                      const std::string& place, GgufMetadata& metadata) {
  std::string pre = gguf_pre_tokenizer_name(tokenizer);
  if (pre.empty()) {
    refuse_for_gguf(
        place,
        fmt::format("llama.cpp has no name that we know for this pre_tokenizer; known are {}",
                    gguf_pre_tokenizer_names()));
  }
  const Json& normalizer = tokenizer.value("normalizer", Json());
  if (!normalizer.is_null() && normalizer.value("type", "") != "NFC") {
    refuse_for_gguf(place,
                    fmt::format("llama.cpp does not apply the normalizer {}", normalizer.dump()));
  }
  metadata.set("tokenizer.ggml.model", "gpt2");
  metadata.set("tokenizer.ggml.pre", pre);
  metadata.set("tokenizer.ggml.tokens", vocabulary.tokens);
  metadata.set("tokenizer.ggml.token_type", as_numbers(vocabulary.types));
  std::vector<std::string> merges;
  for (const auto& [left, right] : read_merges(tokenizer["model"], place)) {
    merges.push_back(fmt::format("{} {}", left, right));
  }
  metadata.set("tokenizer.ggml.merges", merges);
}

/// Whether SentencePiece's blank comes before the text.
bool has_space_prefix(const Json& tokenizer, const std::string& place) {
  const Json& pre = tokenizer.value("pre_tokenizer", Json());
  const Json& normalizer = tokenizer.value("normalizer", Json());
  if (pre.is_object() && pre.value("type", "") == "Metaspace") {
    return pre.value("prepend_scheme", "always") != "never" && pre.value("add_prefix_space", true);
  }
  for (bool prefix : {false, true}) {
    if (normalizer == sentencepiece_normalizer(prefix)) return prefix;
  }
  refuse_for_gguf(place,
                  fmt::format("llama.cpp does not apply the normalizer {}", normalizer.dump()));
}

/// Scores of byte-fallback BPE that mean its merges.
void set_scores(const Json& tokenizer, const std::string& place, GgufTokenList& vocabulary) {
  std::unordered_map<std::string, size_t> normal;
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    if (vocabulary.types[id] == GgufTokenType::kNormal) normal.emplace(vocabulary.tokens[id], id);
  }
  Merges merges = read_merges(tokenizer["model"], place);
  // Added tokens are found before merging begins.
  std::erase_if(merges, [&](const auto& merge) {
    return !normal.contains(merge.first) || !normal.contains(merge.second) ||
           !normal.contains(merge.first + merge.second);
  });
  std::vector<float> scores = sentencepiece_scores(normal, vocabulary.tokens.size(), merges, place);
  for (const auto& [token, id] : normal) vocabulary.scores[id] = scores[id];
}

/// llama.cpp's tokenizer "llama" is SentencePiece's BPE, "t5" its Unigram.
void write_sentencepiece(const Json& tokenizer, const GgufTokenList& vocabulary, bool unigram,
                         const std::string& place, GgufMetadata& metadata) {
  metadata.set("tokenizer.ggml.model", unigram ? "t5" : "llama");
  metadata.set("tokenizer.ggml.pre", "default");
  metadata.set("tokenizer.ggml.tokens", vocabulary.tokens);
  metadata.set("tokenizer.ggml.scores", vocabulary.scores);
  metadata.set("tokenizer.ggml.token_type", as_numbers(vocabulary.types));
  metadata.set("tokenizer.ggml.add_space_prefix", has_space_prefix(tokenizer, place));
  if (unigram) metadata.set("tokenizer.ggml.remove_extra_whitespaces", false);
}

/// Whether a text gets a special token in front (or behind).
bool adds_token(const Json& tokenizer, const Json& config, bool in_front) {
  Json made = find_template_processing(tokenizer.value("post_processor", Json()));
  if (made.is_object() && made.contains("single") && !made["single"].empty()) {
    const Json& edge = in_front ? made["single"].front() : made["single"].back();
    return edge.contains("SpecialToken");
  }
  const char* key = in_front ? "add_bos_token" : "add_eos_token";
  return config.contains(key) && config[key] == true;
}

/// The id of a special token: as tokenizer_config.json names it, else as config.json does.
std::optional<int64_t> special_token(const Json& config, const char* key,
                                     const GgufTokenList& vocabulary,
                                     std::optional<int64_t> otherwise) {
  Json named = config.value(key, Json());
  if (named.is_object()) named = named.value("content", Json());
  if (named.is_string()) {
    auto found = std::find(vocabulary.tokens.begin(), vocabulary.tokens.end(), named);
    if (found != vocabulary.tokens.end()) return found - vocabulary.tokens.begin();
  }
  return otherwise;
}

/// What ends a text beside `eos`: the ids of the configs, else the token by whose name llama.cpp
/// itself looks for the end of a turn.
std::vector<int64_t> other_ends(const ModelSource& source, const ModelConfig& config,
                                const GgufTokenList& vocabulary, std::optional<int64_t> eos) {
  constexpr const char* kGeneration = "generation_config.json";
  std::vector<int64_t> ends;
  auto add = [&](int64_t id) {
    if (id != eos && std::find(ends.begin(), ends.end(), id) == ends.end()) ends.push_back(id);
  };
  for (int64_t id : eos_token_ids_of(source.side_json(kGeneration),
                                     source.path().string() + "/" + kGeneration)) {
    add(id);
  }
  for (int64_t id : config.eos_token_ids) add(id);
  if (!ends.empty()) return ends;
  if (auto turn_end = find_turn_end(vocabulary.tokens)) add(*turn_end);
  return ends;
}

void write_special_tokens(const ModelSource& source, const Json& tokenizer,
                          const ModelConfig& config, const GgufTokenList& vocabulary,
                          GgufMetadata& metadata) {
  Json tokenizer_config = source.side_json("tokenizer_config.json");
  if (!tokenizer_config.is_object()) tokenizer_config = Json::object();
  auto set = [&](const char* name, std::optional<int64_t> id) {
    if (id && *id >= 0 && *id < config.vocab_size) {
      metadata.set_whole(fmt::format("tokenizer.ggml.{}", name), *id);
    }
  };
  auto special = [&](const char* key, std::optional<int64_t> otherwise) {
    return special_token(tokenizer_config, key, vocabulary, otherwise);
  };
  std::optional<int64_t> eos;
  if (!config.eos_token_ids.empty()) eos = config.eos_token_ids[0];
  eos = special("eos_token", eos);
  set("bos_token_id", special("bos_token", config.bos_token_id));
  set("eos_token_id", eos);
  write_other_ends(other_ends(source, config, vocabulary, eos), vocabulary, source.path().string(),
                   metadata);
  set("unknown_token_id", special("unk_token", std::nullopt));
  set("padding_token_id", special("pad_token", config.pad_token_id));
  metadata.set("tokenizer.ggml.add_bos_token", adds_token(tokenizer, tokenizer_config, true));
  metadata.set("tokenizer.ggml.add_eos_token", adds_token(tokenizer, tokenizer_config, false));
}

void write_vocabulary(const ModelSource& source, const Json& tokenizer, const ModelConfig& config,
                      GgufMetadata& metadata) {
  std::string place = source.path().string();
  const auto pieces = sentencepiece_model_of(tokenizer, place);
  const Json& model = gguf_member(tokenizer, "model", place);
  const Json type = model.value("type", Json());
  const bool unigram =
      pieces ? pieces->algorithm == SentencePieceModel::Algorithm::kUnigram : type == "Unigram";
  const bool bpe =
      pieces ? pieces->algorithm == SentencePieceModel::Algorithm::kBpe : type == "BPE";
  if (!unigram && !bpe) {
    refuse_for_gguf(place,
                    fmt::format("a tokenizer of type {} is not supported, only BPE and Unigram",
                                pieces ? "SentencePiece of words or characters" : type.dump()));
  }
  GgufTokenList vocabulary = gguf_token_list(tokenizer, pieces, config.vocab_size, place);
  const bool byte_fallback = model.value("byte_fallback", false);
  if (byte_fallback && bpe && !pieces) set_scores(tokenizer, place, vocabulary);
  if (pieces || unigram || byte_fallback) {
    write_sentencepiece(tokenizer, vocabulary, unigram, place, metadata);
  } else {
    write_byte_level(tokenizer, vocabulary, place, metadata);
  }
  write_special_tokens(source, tokenizer, config, vocabulary, metadata);
  write_gguf_chat_templates(source, metadata);
}

}  // namespace

void write_gguf_vocabulary(const ModelSource& source, const ModelConfig& config,
                           GgufMetadata& metadata) {
  Json tokenizer = source.tokenizer_json();
  if (!tokenizer.is_object()) {
    log_warning("{}: has no tokenizer.json; the GGUF will have no vocabulary",
                source.path().string());
    metadata.set("tokenizer.ggml.model", "none");
    return;
  }
  try {
    write_vocabulary(source, tokenizer, config, metadata);
  } catch (const Json::exception& e) {
    refuse_for_gguf(source.path().string(),
                    fmt::format("tokenizer.json is malformed: {}", e.what()));
  }
}

}  // namespace longspan
