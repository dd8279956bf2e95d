#include "data/tokenizers/precompiled.h"

#include <unicode/brkiter.h>
#include <unicode/utext.h>

#include <memory>
#include <stdexcept>

#include "src/core/utf8.h"

namespace longspan {

namespace {

std::unique_ptr<icu::BreakIterator> make_grapheme_breaks() {
  static const std::unique_ptr<icu::BreakIterator> kBreaks = [] {
    UErrorCode status = U_ZERO_ERROR;
    std::unique_ptr<icu::BreakIterator> breaks(
        icu::BreakIterator::createCharacterInstance(icu::Locale::getRoot(), status));
    if (U_FAILURE(status)) throw std::runtime_error(std::string("ICU: ") + u_errorName(status));
    return breaks;
  }();
  return std::unique_ptr<icu::BreakIterator>(kBreaks->clone());
}

/// Calls visit() with each grapheme of `text`.
template <class Visit>
void for_each_grapheme(std::string_view text, Visit&& visit) {
  UErrorCode status = U_ZERO_ERROR;
  const std::unique_ptr<UText, decltype(&utext_close)> opened(
      utext_openUTF8(nullptr, text.data(), static_cast<int64_t>(text.size()), &status),
      &utext_close);
  const auto breaks = make_grapheme_breaks();
  breaks->setText(opened.get(), status);
  if (U_FAILURE(status)) throw std::runtime_error(std::string("ICU: ") + u_errorName(status));
  size_t begin = 0;
  for (int32_t end = breaks->next(); end != icu::BreakIterator::DONE; end = breaks->next()) {
    visit(text.substr(begin, static_cast<size_t>(end) - begin));
    begin = static_cast<size_t>(end);
  }
}

}  // namespace

std::string_view with_precompiled(const CharacterMap& map, std::string_view text,
                                  std::string& storage) {
  constexpr size_t kLongestGrapheme = 5;  // bytes
  storage.clear();
  for_each_grapheme(text, [&](std::string_view grapheme) {
    if (grapheme.size() <= kLongestGrapheme) {
      if (const auto made = map.find(grapheme)) {
        storage += *made;
        return;
      }
    }
    for (size_t at = 0; at < grapheme.size();) {
      const size_t begin = at;
      next_code_point(grapheme, at);
      const std::string_view character = grapheme.substr(begin, at - begin);
      storage += map.find(character).value_or(character);
    }
  });
  return storage == text ? text : std::string_view(storage);
}

}  // namespace longspan
