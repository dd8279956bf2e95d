#include "checkpoints/gguf/gguf_pre_tokenizer.h"

#include <algorithm>
#include <initializer_list>
#include <vector>

#include "src/core/text.h"

namespace longspan {

namespace {

constexpr const char* kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kTekken =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kGpt4o =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S))";

// The steps that no Split is needed for.
constexpr const char* kDigits = "Digits";
constexpr const char* kByteLevel = "ByteLevel";  // with GPT-2's own pattern

struct Known {
  std::string_view name;
  std::vector<const char*> steps;  // a pattern, or one of the two above
  bool ignore_merges = false, adds_bos = false, nfc = false;
};

/// llama.cpp's src/llama-vocab.cpp, with the patterns of the models' own tokenizer.json where the
/// two differ in spelling only. The first of equals is the one to write.
const std::vector<Known>& known() {
  static const std::vector<Known> kKnown = [] {
    std::vector<Known> list = {
        {"gpt-2", {kByteLevel}},
        {"smollm", {kDigits, kByteLevel}},
        {"llama-bpe", {kLlama3}, true, true},
        {"smaug-bpe", {kLlama3}},
        {"qwen2", {kQwen2}, false, false, true},
        {"stablelm2", {kQwen2}},
        {"tekken", {kTekken}, true, true},
        {"gpt-4o", {kGpt4o}},
        {"default", {R"([\p{P}\$\+<=>\^~\|]+)", kGpt2, R"(\p{N}+)", "[0-9][0-9][0-9]"}}};
    auto alias = [&](std::string_view of, std::initializer_list<std::string_view> names) {
      for (size_t i = 0, count = list.size(); i < count; ++i) {
        if (list[i].name != of) continue;
        for (auto name : names) {
          list.push_back(list[i]);
          list.back().name = name;
        }
        return;
      }
    };
    alias("gpt-2", {"phi-2", "olmo", "mellum", "gigachat"});
    alias("smollm", {"starcoder", "refact", "codeshell", "exaone", "minerva-7b"});
    alias("llama-bpe", {"llama3", "llama-v3", "falcon3", "pixtral", "midm-2.0", "lfm2"});
    alias("smaug-bpe", {"dbrx"});
    alias("qwen2", {"deepseek-r1-qwen", "kormo", "megrez"});
    alias("stablelm2", {"hunyuan", "solar-open"});
    alias("gpt-4o", {"llama4", "kanana2"});
    return list;
  }();
  return kKnown;
}

Json byte_level(bool use_regex) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", false},
          {"trim_offsets", true},
          {"use_regex", use_regex}};
}

Json step_json(const char* step) {
  if (step == kDigits) return {{"type", "Digits"}, {"individual_digits", true}};
  if (step == kByteLevel) return byte_level(true);
  return {{"type", "Split"},
          {"pattern", {{"Regex", step}}},
          {"behavior", "Isolated"},
          {"invert", false}};
}

/// The steps of a pre_tokenizer as in `known()`; {} when one of them is of another kind.
std::vector<std::string> steps_of(const Json& json) {
  std::string type = json.is_object() ? json.value("type", "") : "";
  std::vector<std::string> steps;
  if (type == "Sequence" && json.contains("pretokenizers") && json["pretokenizers"].is_array()) {
    for (const auto& part : json["pretokenizers"]) {
      std::vector<std::string> inner = steps_of(part);
      if (inner.empty()) return {};
      steps.insert(steps.end(), inner.begin(), inner.end());
    }
    // The closing one only turns bytes to letters, unless they are letters by then.
    const auto byte_levels = std::count_if(steps.begin(), steps.end(), [](const std::string& step) {
      return step.empty() || step == kByteLevel;
    });
    if (byte_levels == 1 && steps.size() > 1 && steps.back().empty()) steps.pop_back();
    return steps;
  }
  if (type == "Digits" && json.value("individual_digits", false)) return {kDigits};
  if (type == "ByteLevel" && !json.value("add_prefix_space", true)) {
    return {json.value("use_regex", true) ? kByteLevel : ""};
  }
  Json::json_pointer regex("/pattern/Regex");
  if (type == "Split" && json.contains(regex) && json[regex].is_string()) {
    // All of a text matches these patterns, so that what is removed is the nothing between.
    bool isolated = json.value("behavior", "") == "Isolated" && !json.value("invert", false);
    bool removed = json.value("behavior", "") == "Removed" && json.value("invert", false);
    if (isolated || removed) return {json[regex].get<std::string>()};
  }
  return {};
}

}  // namespace

std::optional<GgufPreTokenizer> find_gguf_pre_tokenizer(std::string_view name) {
  for (const auto& entry : known()) {
    if (entry.name != name) continue;
    Json parts = Json::array();
    for (const char* step : entry.steps) parts.push_back(step_json(step));
    if (entry.steps.back() != kByteLevel) parts.push_back(byte_level(false));
    GgufPreTokenizer made;
    made.pre_tokenizer =
        parts.size() == 1 ? parts[0] : Json{{"type", "Sequence"}, {"pretokenizers", parts}};
    if (entry.nfc) made.normalizer = {{"type", "NFC"}};
    made.ignore_merges = entry.ignore_merges;
    made.adds_bos = entry.adds_bos;
    return made;
  }
  return std::nullopt;
}

std::string gguf_pre_tokenizer_name(const Json& tokenizer_json) {
  Json::json_pointer ignore("/model/ignore_merges");
  bool ignore_merges = tokenizer_json.contains(ignore) && tokenizer_json[ignore] == true;
  std::vector<std::string> steps =
      steps_of(tokenizer_json.contains("pre_tokenizer") ? tokenizer_json["pre_tokenizer"] : Json());
  bool nfc = tokenizer_json.contains(Json::json_pointer("/normalizer/type")) &&
             tokenizer_json["normalizer"]["type"] == "NFC";
  std::string_view found;
  for (const auto& entry : known()) {
    bool same = entry.ignore_merges == ignore_merges &&
                std::vector<std::string>(entry.steps.begin(), entry.steps.end()) == steps;
    if (same && (found.empty() || entry.nfc == nfc)) {
      found = entry.name;
      if (entry.nfc == nfc) break;
    }
  }
  return std::string(found);
}

std::string gguf_pre_tokenizer_names() {
  std::vector<std::string> names;
  for (const auto& entry : known()) names.emplace_back(entry.name);
  return join(names, ", ");
}

}  // namespace longspan
