#include "data/tokenizers/normalizer.h"

#include <algorithm>
#include <utility>

#include "data/tokenizers/bert_normalizer.h"
#include "data/tokenizers/precompiled.h"
#include "data/tokenizers/white_space.h"
#include "src/core/base64.h"
#include "src/core/error.h"

namespace longspan {

namespace {

// LLaMA 2 makes a blank of three bytes of each space. A chain of replacements could make a text
// grow without bound.
constexpr size_t kMostNormalizedGrowth = 64;

std::string_view replace_all(std::string_view text, const Regex& from, const std::string& to,
                             std::string& storage, RegexScratch& scratch) {
  size_t done = 0;
  bool found = false;
  from.for_each_match(text, scratch, [&](size_t begin, size_t end) {
    if (!std::exchange(found, true)) storage.clear();
    storage.append(text, done, begin - done).append(to);
    done = end;
  });
  if (!found) return text;
  storage.append(text, done);
  return storage;
}

std::string_view replace_all(std::string_view text, const std::string& from, const std::string& to,
                             std::string& storage) {
  size_t found = text.find(from);
  if (found == text.npos) return text;
  storage.clear();
  storage.reserve(text.size() + text.size() / 4);
  size_t done = 0;
  for (; found != text.npos; found = text.find(from, done)) {
    storage.append(text, done, found - done);
    storage += to;
    done = found + from.size();
  }
  storage.append(text, done);
  return storage;
}

}  // namespace

Normalizer::Normalizer(const Json& json, const std::string& place) {
  if (!json.is_null()) add(json, place + ": normalizer");
}

void Normalizer::add(const Json& json, const std::string& place) {
  const std::string type = json.is_object() ? json.value("type", "") : "";
  if (type == "Sequence") {
    const Json steps = json.value("normalizers", Json::array());
    for (size_t i = 0; i < steps.size(); ++i) add(steps[i], fmt::format("{}[{}]", place, i));
  } else if (type == "Prepend") {
    steps_.emplace_back(Prepend{json.at("prepend").get<std::string>()});
  } else if (type == "Strip") {
    steps_.emplace_back(Strip{json.value("strip_left", true), json.value("strip_right", true)});
  } else if (type == "Replace") {
    add_replace(json, place);
  } else if (type == "Precompiled") {
    add_precompiled(json, place);
  } else if (type == "BertNormalizer") {
    add_bert(json, place);
  } else {
    add_named(type, json, place);
  }
}

/// What its name says all of.
void Normalizer::add_named(const std::string& type, const Json& json, const std::string& place) {
  if (const CharacterFilter* filter = find_character_filter(type)) {
    return add_filter(*filter, place);
  }
  for (auto form : {UnicodeForm::kNfc, UnicodeForm::kNfd, UnicodeForm::kNfkc, UnicodeForm::kNfkd}) {
    if (type != name_of(form)) continue;
    steps_.emplace_back(form);
    return;
  }
  fail(ExitCode::kModel,
       "{}: {} is not supported; expected null, NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, "
       "Nmt, ByteLevel, BertNormalizer, Precompiled, Strip, Prepend, Replace, or a Sequence of "
       "these",
       place, json.dump());
}

void Normalizer::add_filter(const CharacterFilter& filter, const std::string& place) {
  add_growth(filter.growth, place);
  steps_.emplace_back(&filter);
}

/// Its steps in their order; accents fall with the capitals unless it says otherwise.
void Normalizer::add_bert(const Json& json, const std::string& place) {
  const bool lowercase = json.value("lowercase", true);
  const Json strips = json.value("strip_accents", Json());
  if (json.value("clean_text", true)) add_filter(kBertCleanText, place);
  if (json.value("handle_chinese_chars", true)) add_filter(kBertChineseCharacters, place);
  if (strips.is_null() ? lowercase : strips.get<bool>()) {
    steps_.emplace_back(UnicodeForm::kNfd);
    add_filter(kBertStripAccents, place);
  }
  if (lowercase) add_filter(*find_character_filter("Lowercase"), place);
}

void Normalizer::add_precompiled(const Json& json, const std::string& place) {
  constexpr const char* kKey = "precompiled_charsmap";
  auto base64 = json.at(kKey).get<std::string>();
  const auto bytes = decode_base64(base64);
  auto map = bytes ? CharacterMap::read(*bytes) : std::nullopt;
  if (!map) fail(ExitCode::kModel, "{}: its {} is damaged", place, kKey);
  add_growth(map->growth(), place);
  steps_.emplace_back(Precompiled{std::move(*map), std::move(base64)});
}

void Normalizer::add_growth(size_t growth, const std::string& place) {
  if (growth <= kMostNormalizedGrowth) growth_ *= growth;
  if (growth <= kMostNormalizedGrowth && growth_ <= kMostNormalizedGrowth) return;
  fail(ExitCode::kModel, "{}: makes a text more than {} times as long", place,
       kMostNormalizedGrowth);
}

void Normalizer::add_replace(const Json& json, const std::string& place) {
  const Json& pattern = json.at("pattern");
  const bool literal = pattern.contains("String");
  auto from = pattern.at(literal ? "String" : "Regex").get<std::string>();
  auto to = json.at("content").get<std::string>();
  if (literal && from.empty()) fail(ExitCode::kModel, "{}: replaces an empty text", place);
  // A pattern may match the nothing before each byte.
  add_growth(
      literal ? std::max<size_t>(1, (to.size() + from.size() - 1) / from.size()) : to.size() + 1,
      place);
  if (literal) {
    steps_.emplace_back(ReplaceText{std::move(from), std::move(to)});
  } else {
    steps_.emplace_back(ReplacePattern{Regex(std::move(from), place), std::move(to)});
  }
}

std::string_view Normalizer::run(const Step& step, std::string_view text, std::string& storage,
                                 RegexScratch& scratch) {
  if (const auto* form = std::get_if<UnicodeForm>(&step)) return in_form(*form, text, storage);
  if (const auto* filter = std::get_if<const CharacterFilter*>(&step)) {
    return filtered(**filter, text, storage);
  }
  if (const auto* precompiled = std::get_if<Precompiled>(&step)) {
    return with_precompiled(precompiled->map, text, storage);
  }
  if (const auto* strip = std::get_if<Strip>(&step)) {
    storage = without_white_space(text, strip->left, strip->right);
    return storage;
  }
  if (const auto* prepend = std::get_if<Prepend>(&step)) {
    if (text.empty()) return text;
    storage.assign(prepend->text).append(text);
    return storage;
  }
  if (const auto* replace = std::get_if<ReplacePattern>(&step)) {
    return replace_all(text, replace->from, replace->to, storage, scratch);
  }
  const auto& replace = std::get<ReplaceText>(step);
  return replace_all(text, replace.from, replace.to, storage);
}

std::string_view Normalizer::apply(std::string_view text, std::string& storage,
                                   RegexScratch& scratch) const {
  std::string made;
  for (const auto& step : steps_) {
    std::string_view result = run(step, text, made, scratch);
    if (result.data() != made.data()) continue;  // nothing changed
    storage.swap(made);                          // `text` may lie in what is now `made`
    text = storage;
  }
  return text;
}

std::string Normalizer::description_of(const Step& step) {
  if (const auto* prepend = std::get_if<Prepend>(&step)) {
    return fmt::format("prepend {}:{}\n", prepend->text.size(), prepend->text);
  }
  if (const auto* strip = std::get_if<Strip>(&step)) {
    return fmt::format("strip {:d} {:d}\n", strip->left, strip->right);
  }
  if (const auto* replace = std::get_if<ReplaceText>(&step)) {
    return fmt::format("replace {}:{} {}:{}\n", replace->from.size(), replace->from,
                       replace->to.size(), replace->to);
  }
  if (const auto* replace = std::get_if<ReplacePattern>(&step)) {
    const std::string& pattern = replace->from.pattern();
    return fmt::format("replace pattern {}:{} {}:{}\n", pattern.size(), pattern, replace->to.size(),
                       replace->to);
  }
  if (const auto* precompiled = std::get_if<Precompiled>(&step)) {
    return fmt::format("precompiled {}\n", precompiled->base64);
  }
  if (const auto* filter = std::get_if<const CharacterFilter*>(&step)) {
    return fmt::format("{}\n", (*filter)->name);
  }
  return fmt::format("{}\n", name_of(std::get<UnicodeForm>(step)));
}

std::string Normalizer::description() const {
  std::string text;
  for (const auto& step : steps_) text += description_of(step);
  return text;
}

}  // namespace longspan
