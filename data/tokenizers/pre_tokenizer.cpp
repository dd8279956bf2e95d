#include "data/tokenizers/pre_tokenizer.h"

#include "src/core/error.h"
#include "src/core/utf8.h"

namespace longspan {

namespace {

constexpr const char* kGpt2Pattern =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

// Digits is Rust's char::is_numeric, which knows the numbers of Unicode 17.
constexpr const char* kNumeric = "[\\p{N}\\x{11DE0}-\\x{11DE9}\\x{16FF4}-\\x{16FF6}]";

constexpr size_t kMostSteps = 32;  // each takes a part of the stack

}  // namespace

PreTokenizer::PreTokenizer(const Json& json, bool byte_level, const std::string& place)
    : byte_level_(byte_level) {
  if (byte_level || !json.is_null()) add(json, place + ": pre_tokenizer");
  if (byte_level && !closed_) unsupported(place, "a pre_tokenizer without ByteLevel");
}

void PreTokenizer::unsupported(const std::string& place, const std::string& what) const {
  fail(ExitCode::kModel, "{}: {} is not supported; {}", place, what,
       byte_level_ ? "byte-level BPE wants ByteLevel, or a Sequence of Split (Regex, Isolated), "
                     "Digits and ByteLevel"
                   : "byte-fallback BPE wants null, Metaspace, Split (String, "
                     "MergedWithPrevious), Digits, or a Sequence of these");
}

void PreTokenizer::add(const Json& json, const std::string& place) {
  if (!json.is_object()) unsupported(place, json.dump());
  if (closed_) unsupported(place, "a step behind ByteLevel");
  if (steps_.size() >= kMostSteps) unsupported(place, "a list of so many steps");
  const std::string type = json.value("type", "");
  if (type == "Sequence") {
    const Json steps = json.value("pretokenizers", Json::array());
    for (size_t i = 0; i < steps.size(); ++i) add(steps[i], fmt::format("{}[{}]", place, i));
  } else if (type == "Split") {
    add_split(json, place);
  } else if (type == "Digits") {
    bool individual = json.value("individual_digits", false);
    steps_.emplace_back(Regex(kNumeric + std::string(individual ? "" : "+"), place));
  } else if (type == "ByteLevel" && byte_level_) {
    if (json.value("add_prefix_space", true)) steps_.emplace_back(PrefixSpace{});
    if (json.value("use_regex", true)) steps_.emplace_back(Regex(kGpt2Pattern, place));
    closed_ = true;
  } else if (type == "Metaspace" && !byte_level_) {
    add_metaspace(json, place);
  } else {
    unsupported(place, "the type '" + type + "'");
  }
}

void PreTokenizer::add_split(const Json& json, const std::string& place) {
  const Json pattern = json.value("pattern", Json::object());
  const std::string kind = !pattern.is_object()         ? ""
                           : pattern.contains("Regex")  ? "Regex"
                           : pattern.contains("String") ? "String"
                                                        : "";
  const std::string behavior = json.value("behavior", "");
  const std::string text = kind.empty() ? "" : pattern[kind].get<std::string>();
  if (kind == "Regex" && behavior == "Isolated" && !json.value("invert", false)) {
    steps_.emplace_back(Regex(text, place));
  } else if (!byte_level_ && kind == "String" && behavior == "MergedWithPrevious" &&
             !json.value("invert", false) && !text.empty()) {
    steps_.emplace_back(CutBehind{text});
  } else {
    unsupported(place, "Split as " + json.dump());
  }
}

void PreTokenizer::add_metaspace(const Json& json, const std::string& place) {
  using Prepend = Metaspace::Prepend;
  Metaspace step;
  step.replacement = json.at("replacement").get<std::string>();
  step.split = json.value("split", true);
  // Files of before tokenizers 0.15 say add_prefix_space.
  const std::string scheme =
      json.value("prepend_scheme", json.value("add_prefix_space", true) ? "always" : "never");
  if (scheme != "always" && scheme != "first" && scheme != "never") {
    unsupported(place, "prepend_scheme '" + scheme + "'");
  }
  size_t end = 0;  // one character: a chain of longer ones could make a text grow without bound
  if (step.replacement.empty() ||
      (next_code_point(step.replacement, end), end) != step.replacement.size()) {
    unsupported(place, "a replacement other than one character");
  }
  step.prepend = scheme == "always"  ? Prepend::kAlways
                 : scheme == "first" ? Prepend::kFirst
                                     : Prepend::kNever;
  steps_.emplace_back(std::move(step));
}

std::string PreTokenizer::Metaspace::apply(std::string_view text, bool first) const {
  std::string made;
  made.reserve(text.size() + text.size() / 2 + replacement.size());
  for (char byte : text) {
    if (byte == ' ') {
      made += replacement;
    } else {
      made += byte;
    }
  }
  bool wanted = prepend == Prepend::kAlways || (prepend == Prepend::kFirst && first);
  if (wanted && !made.starts_with(replacement)) made.insert(0, replacement);
  return made;
}

std::string PreTokenizer::description() const {
  std::string text;
  for (const auto& step : steps_) {
    if (const auto* regex = std::get_if<Regex>(&step)) {
      text += "isolate " + regex->pattern() + "\n";
    } else if (const auto* cut = std::get_if<CutBehind>(&step)) {
      text += "cut behind " + cut->text + "\n";
    } else if (const auto* metaspace = std::get_if<Metaspace>(&step)) {
      text += fmt::format("metaspace {} {} {:d}\n", metaspace->replacement,
                          static_cast<int>(metaspace->prepend), metaspace->split);
    } else {
      text += "prefix space\n";
    }
  }
  return text;
}

}  // namespace longspan
