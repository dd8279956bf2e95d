#include "data/tokenizers/normalizer.h"

#include <algorithm>

#include "data/tokenizers/unicode_nfc.h"
#include "src/core/error.h"

namespace longspan {

namespace {

// LLaMA 2 makes a blank of three bytes of each space. A chain of replacements could make a text
// grow without bound.
constexpr size_t kMostNormalizedGrowth = 64;

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
  } else if (type == "NFC") {
    steps_.emplace_back(Nfc{});
  } else if (type == "Prepend") {
    steps_.emplace_back(Prepend{json.at("prepend").get<std::string>()});
  } else if (type == "Replace" && json.at("pattern").contains("String")) {
    Replace step{json.at("pattern").at("String").get<std::string>(),
                 json.at("content").get<std::string>()};
    if (step.from.empty()) fail(ExitCode::kModel, "{}: replaces an empty text", place);
    growth_ *= std::max<size_t>(1, (step.to.size() + step.from.size() - 1) / step.from.size());
    if (step.to.size() > kMostNormalizedGrowth || growth_ > kMostNormalizedGrowth) {
      fail(ExitCode::kModel, "{}: makes a text more than {} times as long", place,
           kMostNormalizedGrowth);
    }
    steps_.emplace_back(std::move(step));
  } else {
    fail(ExitCode::kModel,
         "{}: {} is not supported; expected null, NFC, Prepend, Replace with a String, or a "
         "Sequence of these",
         place, json.dump());
  }
}

std::string_view Normalizer::run(const Step& step, std::string_view text, std::string& storage) {
  if (std::holds_alternative<Nfc>(step)) return with_nfc(text, storage);
  if (const auto* prepend = std::get_if<Prepend>(&step)) {
    if (text.empty()) return text;
    storage.assign(prepend->text).append(text);
    return storage;
  }
  const auto& replace = std::get<Replace>(step);
  return replace_all(text, replace.from, replace.to, storage);
}

std::string_view Normalizer::apply(std::string_view text, std::string& storage) const {
  std::string made;
  for (const auto& step : steps_) {
    std::string_view result = run(step, text, made);
    if (result.data() != made.data()) continue;  // nothing changed
    storage.swap(made);                          // `text` may lie in what is now `made`
    text = storage;
  }
  return text;
}

std::string Normalizer::description() const {
  std::string text;
  for (const auto& step : steps_) {
    if (const auto* prepend = std::get_if<Prepend>(&step)) {
      text += fmt::format("prepend {}:{}\n", prepend->text.size(), prepend->text);
    } else if (const auto* replace = std::get_if<Replace>(&step)) {
      text += fmt::format("replace {}:{} {}:{}\n", replace->from.size(), replace->from,
                          replace->to.size(), replace->to);
    } else {
      text += "NFC\n";
    }
  }
  return text;
}

}  // namespace longspan
