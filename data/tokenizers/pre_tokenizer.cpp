#include "data/tokenizers/pre_tokenizer.h"

#include "data/tokenizers/unicode_categories.h"
#include "data/tokenizers/unicode_scripts.h"
#include "src/core/error.h"
#include "src/core/utf8.h"

namespace longspan {

namespace {

constexpr const char* kGpt2Pattern =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

// Digits is Rust's char::is_numeric, which knows the numbers of Unicode 17.
constexpr const char* kNumeric = "[\\p{N}\\x{11DE0}-\\x{11DE9}\\x{16FF4}-\\x{16FF6}]";

// White_Space of Unicode.
constexpr const char* kWhiteSpace =
    "[\\x{09}-\\x{0D}\\x{20}\\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}"
    "\\x{205F}\\x{3000}]";

// \w and \s of Rust's regex crate (Unicode UTS 18).
constexpr const char* kWordsAndSigns =
    "[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}]+"
    "|[^\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}\\x{09}-\\x{0D}\\x{20}\\x{85}\\x{A0}"
    "\\x{1680}"
    "\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}\\x{3000}]+";

constexpr size_t kMostSteps = 32;  // each takes a part of the stack

[[noreturn]] void unsupported_step(const std::string& place, const std::string& what) {
  fail(ExitCode::kModel,
       "{}: {} is not supported; expected null, Split, Digits, Punctuation, Whitespace, "
       "WhitespaceSplit, CharDelimiterSplit, FixedLength, UnicodeScripts, BertPreTokenizer, "
       "Metaspace, or a Sequence of these, and of one ByteLevel or two",
       place, what);
}

SplitBehavior read_behavior(const Json& behavior, const std::string& place) {
  auto known = split_behavior_named(behavior.is_string() ? behavior.get<std::string>() : "");
  if (!known) unsupported_step(place, "the behavior " + behavior.dump());
  return *known;
}

/// Each sign, and what lies between two.
std::vector<SplitSpan> punctuation_spans(std::string_view text) {
  std::vector<SplitSpan> spans;
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    const bool match = is_punctuation(next_code_point(text, at));
    if (!match && !spans.empty() && !spans.back().match) {
      spans.back().end = at;
    } else {
      spans.push_back({begin, at, match});
    }
  }
  return spans;
}

}  // namespace

PreTokenizer::PreTokenizer(const Json& json, const std::string& place) {
  if (!json.is_null()) add(json, place + ": pre_tokenizer");
}

void PreTokenizer::add(const Json& json, const std::string& place) {
  if (!json.is_object()) unsupported_step(place, json.dump());
  if (steps_.size() >= kMostSteps) unsupported_step(place, "a list of so many steps");
  const std::string type = json.value("type", "");
  if (type != "Sequence" && unnamed_) {
    unnamed_ = false;
    steps_.emplace_back(NamedBytes{});
  }
  if (type == "Sequence") {
    const Json steps = json.value("pretokenizers", Json::array());
    for (size_t i = 0; i < steps.size(); ++i) add(steps[i], fmt::format("{}[{}]", place, i));
  } else if (type == "Split") {
    add_split(json, place);
  } else if (type == "Digits") {
    bool individual = json.value("individual_digits", false);
    add_pattern(kNumeric + std::string(individual ? "" : "+"), "Isolated", false, place);
  } else if (type == "Punctuation") {
    add_punctuation(json.value("behavior", Json("Isolated")), place);
  } else if (type == "Whitespace") {
    add_pattern(kWordsAndSigns, "Removed", true, place);
  } else if (type == "WhitespaceSplit") {
    add_pattern(kWhiteSpace, "Removed", false, place);
  } else if (type == "CharDelimiterSplit") {
    add_pattern(json.at("delimiter").get<std::string>(), "Removed", false, place,
                Regex::Kind::kLiteral);
  } else if (type == "FixedLength") {
    add_pattern(fmt::format("(?s:.{{1,{}}})", json.value("length", size_t{5})), "Isolated", false,
                place);
  } else if (type == "UnicodeScripts") {
    steps_.emplace_back(UnicodeScripts{});
  } else if (type == "BertPreTokenizer") {
    add_pattern(kWhiteSpace, "Removed", false, place);
    add_punctuation("Isolated", place);
  } else if (type == "ByteLevel") {
    // Each may double the length of a text.
    if (byte_levels_ == 2) unsupported_step(place, "a third ByteLevel");
    if (json.value("add_prefix_space", true)) steps_.emplace_back(PrefixSpace{});
    if (json.value("use_regex", true)) add_pattern(kGpt2Pattern, "Isolated", false, place);
    ++byte_levels_;
    unnamed_ = true;
  } else if (type == "Metaspace") {
    add_metaspace(json, place);
  } else {
    unsupported_step(place, "the type '" + type + "'");
  }
}

void PreTokenizer::add_split(const Json& json, const std::string& place) {
  const Json pattern = json.value("pattern", Json::object());
  for (auto [key, kind] :
       {std::pair("Regex", Regex::Kind::kPattern), std::pair("String", Regex::Kind::kLiteral)}) {
    if (!pattern.is_object() || !pattern.contains(key)) continue;
    add_pattern(pattern[key].get<std::string>(), json.value("behavior", Json()),
                json.value("invert", false), place, kind);
    return;
  }
  unsupported_step(place, "Split as " + json.dump());
}

void PreTokenizer::add_pattern(const std::string& pattern, const Json& behavior, bool invert,
                               const std::string& place, Regex::Kind kind) {
  const SplitBehavior known = read_behavior(behavior, place);
  steps_.emplace_back(Split{Regex(pattern, place, kind), kind, known, invert});
}

void PreTokenizer::add_punctuation(const Json& behavior, const std::string& place) {
  steps_.emplace_back(Punctuation{read_behavior(behavior, place)});
}

std::vector<SplitSpan> PreTokenizer::pieces(const Step& step, std::string_view text,
                                            RegexScratch& scratch) {
  if (const auto* split = std::get_if<Split>(&step)) return split->pieces(text, scratch);
  if (const auto* punctuation = std::get_if<Punctuation>(&step)) {
    return apply_split_behavior(punctuation->behavior, punctuation_spans(text));
  }
  return script_spans(text);
}

std::vector<SplitSpan> PreTokenizer::Split::pieces(std::string_view text,
                                                   RegexScratch& scratch) const {
  std::vector<SplitSpan> spans;
  size_t done = 0;
  pattern.for_each_match(text, scratch, [&](size_t begin, size_t end) {
    if (begin > done) spans.push_back({done, begin, invert});
    spans.push_back({begin, end, !invert});
    done = end;
  });
  if (done < text.size()) spans.push_back({done, text.size(), invert});
  return apply_split_behavior(behavior, spans);
}

std::string PreTokenizer::Split::description() const {
  const bool literal = kind == Regex::Kind::kLiteral;
  if (behavior == SplitBehavior::kIsolated && !literal) {
    return "isolate " + pattern.pattern() + "\n";
  }
  if (behavior == SplitBehavior::kMergedWithPrevious && literal && !invert) {
    return "cut behind " + pattern.pattern() + "\n";
  }
  return fmt::format("split {} {:d} {} {}\n", name_of(behavior), invert,
                     literal ? "text" : "pattern", pattern.pattern());
}

void PreTokenizer::add_metaspace(const Json& json, const std::string& place) {
  if (byte_level()) unsupported_step(place, "Metaspace behind ByteLevel");
  using Prepend = Metaspace::Prepend;
  Metaspace step;
  step.replacement = json.at("replacement").get<std::string>();
  step.split = json.value("split", true);
  // Files of before tokenizers 0.15 say add_prefix_space.
  const std::string scheme =
      json.value("prepend_scheme", json.value("add_prefix_space", true) ? "always" : "never");
  if (scheme != "always" && scheme != "first" && scheme != "never") {
    unsupported_step(place, "prepend_scheme '" + scheme + "'");
  }
  size_t end = 0;  // one character: a chain of longer ones could make a text grow without bound
  if (step.replacement.empty() ||
      (next_code_point(step.replacement, end), end) != step.replacement.size()) {
    unsupported_step(place, "a replacement other than one character");
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

std::string PreTokenizer::description_of(const Step& step) {
  if (const auto* split = std::get_if<Split>(&step)) return split->description();
  if (const auto* punctuation = std::get_if<Punctuation>(&step)) {
    return fmt::format("punctuation {}\n", name_of(punctuation->behavior));
  }
  if (const auto* metaspace = std::get_if<Metaspace>(&step)) {
    return fmt::format("metaspace {} {} {:d}\n", metaspace->replacement,
                       static_cast<int>(metaspace->prepend), metaspace->split);
  }
  if (std::holds_alternative<NamedBytes>(step)) return "named bytes\n";
  return std::holds_alternative<UnicodeScripts>(step) ? "scripts\n" : "prefix space\n";
}

std::string PreTokenizer::description() const {
  std::string text;
  for (const auto& step : steps_) text += description_of(step);
  if (byte_levels_ > 1 && unnamed_) text += description_of(NamedBytes{});
  return text;
}

}  // namespace longspan
