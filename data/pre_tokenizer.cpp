#include "data/pre_tokenizer.h"

#include "src/core/error.h"

namespace longspan {

namespace {

constexpr const char* kGpt2Pattern =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

// Digits is Rust's char::is_numeric, which knows the numbers of Unicode 17.
constexpr const char* kNumeric = "[\\p{N}\\x{11DE0}-\\x{11DE9}\\x{16FF4}-\\x{16FF6}]";

[[noreturn]] void unsupported(const std::string& place, const std::string& what) {
  fail(ExitCode::kModel,
       "{}: {} is not supported; byte-level BPE wants ByteLevel, or a Sequence of Split (Regex, "
       "Isolated), Digits and ByteLevel",
       place, what);
}

}  // namespace

PreTokenizer::PreTokenizer(const Json& json, const std::string& place) {
  add(json, place + ": pre_tokenizer");
  if (!byte_level_) unsupported(place, "a pre_tokenizer without ByteLevel");
}

void PreTokenizer::add(const Json& json, const std::string& place) {
  if (!json.is_object()) unsupported(place, json.dump());
  if (byte_level_) unsupported(place, "a step behind ByteLevel");
  const std::string type = json.value("type", "");
  if (type == "Sequence") {
    const Json steps = json.value("pretokenizers", Json::array());
    for (size_t i = 0; i < steps.size(); ++i) add(steps[i], fmt::format("{}[{}]", place, i));
  } else if (type == "Split") {
    const Json pattern = json.value("pattern", Json::object());
    if (json.value("behavior", "") != "Isolated" || json.value("invert", false)) {
      unsupported(place, fmt::format("Split with behavior {} and invert {}",
                                     json.value("behavior", ""), json.value("invert", false)));
    }
    if (!pattern.is_object() || !pattern.contains("Regex")) {
      unsupported(place, "a Split without a Regex");
    }
    steps_.emplace_back(Regex(pattern["Regex"].get<std::string>(), place));
  } else if (type == "Digits") {
    bool individual = json.value("individual_digits", false);
    steps_.emplace_back(Regex(kNumeric + std::string(individual ? "" : "+"), place));
  } else if (type == "ByteLevel") {
    if (json.value("add_prefix_space", true)) steps_.emplace_back(PrefixSpace{});
    if (json.value("use_regex", true)) steps_.emplace_back(Regex(kGpt2Pattern, place));
    byte_level_ = true;
  } else {
    unsupported(place, "the type '" + type + "'");
  }
}

std::string PreTokenizer::description() const {
  std::string text;
  for (const auto& step : steps_) {
    const auto* regex = std::get_if<Regex>(&step);
    text += regex != nullptr ? "isolate " + regex->pattern() + "\n" : "prefix space\n";
  }
  return text;
}

}  // namespace longspan
