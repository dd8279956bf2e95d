#include "checkpoints/gguf_tokenizer.h"

#include <string_view>
#include <unordered_set>

namespace longspan {

namespace {

constexpr int64_t kControl = 3, kUserDefined = 4;  // tokenizer.ggml.token_type

Json byte_level(bool use_regex) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", false},
          {"trim_offsets", true},
          {"use_regex", use_regex}};
}

/// A pattern that cuts the text, then bytes to letters.
Json split_then_bytes(const char* pattern) {
  Json cut = {{"type", "Split"},
              {"pattern", {{"Regex", pattern}}},
              {"behavior", "Isolated"},
              {"invert", false}};
  return {{"type", "Sequence"}, {"pretokenizers", Json::array({cut, byte_level(false)})}};
}

struct PreTokenizer {
  Json pre_tokenizer;
  Json normalizer = nullptr;
  bool ignore_merges = false;
  bool adds_bos = false;  // when tokenizer.ggml.add_bos_token does not say
};

/// As the tokenizer.json of the models that llama.cpp names so.
PreTokenizer pre_tokenizer_of(const GgufReader& gguf) {
  std::string pre = gguf.text("tokenizer.ggml.pre", "default");
  if (pre == "gpt-2" || pre == "default") return {byte_level(true)};
  if (pre == "smollm") {
    Json digits = {{"type", "Digits"}, {"individual_digits", true}};
    return {{{"type", "Sequence"}, {"pretokenizers", Json::array({digits, byte_level(true)})}}};
  }
  if (pre == "llama-bpe") {
    PreTokenizer made{split_then_bytes(
        R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)")};
    made.ignore_merges = made.adds_bos = true;
    return made;
  }
  if (pre == "qwen2") {
    PreTokenizer made{split_then_bytes(
        R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)")};
    made.normalizer = {{"type", "NFC"}};
    return made;
  }
  fail(ExitCode::kModel,
       "{}: tokenizer.ggml.pre '{}' is not known; expected smollm, llama-bpe, "
       "qwen2, gpt-2 or default; convert from the original Hugging Face folder",
       gguf.place(), pre);
}

/// A list of texts under `key`.
const Json& texts(const GgufReader& gguf, const char* key) {
  const Json* list = gguf.value(key);
  bool right = list && list->is_array();
  for (size_t i = 0; right && i < list->size(); ++i) right = (*list)[i].is_string();
  if (!right) fail(ExitCode::kModel, "{}: {} is missing or no list of texts", gguf.place(), key);
  return *list;
}

/// token -> id. Appended straight into the vector that an ordered object is: its operator[] looks
/// through all keys, which takes seconds for a vocabulary.
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
    entries.emplace_back(token, id);
  }
  return vocab;
}

/// Control tokens are special; user-defined ones are only kept whole.
Json added_tokens(const GgufReader& gguf, const Json& tokens) {
  Json added = Json::array();
  const Json* types = gguf.value("tokenizer.ggml.token_type");
  if (!types || !types->is_array() || types->size() != tokens.size()) {
    fail(ExitCode::kModel,
         "{}: tokenizer.ggml.token_type does not have an entry for each of {} "
         "tokens",
         gguf.place(), tokens.size());
  }
  for (size_t id = 0; id < tokens.size(); ++id) {
    const Json& type = (*types)[id];
    if (type != kControl && type != kUserDefined) continue;
    added.push_back({{"id", id},
                     {"content", tokens[id]},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", type == kControl}});
  }
  return added;
}

/// The token of the id under `key`; "" when the key is not there.
std::string token_of(const GgufReader& gguf, const char* key) {
  if (!gguf.value(key)) return "";
  const Json& tokens = texts(gguf, "tokenizer.ggml.tokens");
  int64_t id = gguf.integer(key);
  if (id < 0 || id >= static_cast<int64_t>(tokens.size())) {
    fail(ExitCode::kModel, "{}: {} is {}, the vocabulary has {}", gguf.place(), key, id,
         tokens.size());
  }
  return tokens[static_cast<size_t>(id)].get<std::string>();
}

/// bos before the text, or before each text of a pair.
Json bos_template(const std::string& bos, int64_t id) {
  auto special = [&](int type) -> Json {
    return {{"SpecialToken", {{"id", bos}, {"type_id", type}}}};
  };
  auto sequence = [](const char* name, int type) -> Json {
    return {{"Sequence", {{"id", name}, {"type_id", type}}}};
  };
  Json token = {{"id", bos}, {"ids", Json::array({id})}, {"tokens", Json::array({bos})}};
  Json tokens = Json::object();
  tokens[bos] = token;
  return {{"type", "TemplateProcessing"},
          {"single", Json::array({special(0), sequence("A", 0)})},
          {"pair", Json::array({special(0), sequence("A", 0), special(1), sequence("B", 1)})},
          {"special_tokens", tokens}};
}

}  // namespace

Json gguf_tokenizer_json(const GgufReader& gguf) {
  if (!gguf.value("tokenizer.ggml.model")) return nullptr;
  std::string model = gguf.text("tokenizer.ggml.model");
  if (model != "gpt2") {
    fail(ExitCode::kModel,
         "{}: tokenizer model '{}' is not supported; expected gpt2 (byte-level "
         "BPE); convert from the original Hugging Face folder",
         gguf.place(), model);
  }
  PreTokenizer pre = pre_tokenizer_of(gguf);
  const Json& tokens = texts(gguf, "tokenizer.ggml.tokens");
  Json post_processor = nullptr;
  const Json* add_bos = gguf.value("tokenizer.ggml.add_bos_token");
  std::string bos = token_of(gguf, "tokenizer.ggml.bos_token_id");
  if ((add_bos ? *add_bos == true : pre.adds_bos) && !bos.empty()) {
    post_processor = bos_template(bos, gguf.integer("tokenizer.ggml.bos_token_id"));
  }
  Json bpe = {{"type", "BPE"},
              {"dropout", nullptr},
              {"unk_token", nullptr},
              {"continuing_subword_prefix", nullptr},
              {"end_of_word_suffix", nullptr},
              {"fuse_unk", false},
              {"byte_fallback", false},
              {"ignore_merges", pre.ignore_merges},
              {"vocab", vocabulary(gguf, tokens)},
              {"merges", texts(gguf, "tokenizer.ggml.merges")}};
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", added_tokens(gguf, tokens)},
          {"normalizer", pre.normalizer},
          {"pre_tokenizer", pre.pre_tokenizer},
          {"post_processor", post_processor},
          {"decoder", byte_level(true)},
          {"model", std::move(bpe)}};
}

Json gguf_tokenizer_config_json(const GgufReader& gguf) {
  // The class that takes tokenizer.json as it is; GPT2Tokenizer would put its own pre-tokenizer in.
  Json config = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                 {"clean_up_tokenization_spaces", false},
                 {"model_max_length", gguf.integer("llama.context_length")}};
  for (auto [key, ours] : {std::pair("tokenizer.ggml.bos_token_id", "bos_token"),
                           std::pair("tokenizer.ggml.eos_token_id", "eos_token"),
                           std::pair("tokenizer.ggml.unknown_token_id", "unk_token"),
                           std::pair("tokenizer.ggml.padding_token_id", "pad_token")}) {
    if (std::string token = token_of(gguf, key); !token.empty()) config[ours] = token;
  }
  std::string chat_template = gguf.text("tokenizer.chat_template", "");
  if (!chat_template.empty()) config["chat_template"] = chat_template;
  return config;
}

}  // namespace longspan
