#include "data/tokenizers/unicode_scripts.h"

#include <unicode/uchar.h>
#include <unicode/uscript.h>

#include <cstdint>

#include "src/core/utf8.h"

namespace longspan {

namespace {

constexpr UScriptCode kAny = USCRIPT_UNKNOWN;  // ends no part

UScriptCode script_of(char32_t c) {
  constexpr char32_t kProlongedSoundMark = 0x30FC;  // common to Hiragana and Katakana
  constexpr uint8_t kUnicode9 = 9;
  if (c == ' ') return kAny;
  if (c == kProlongedSoundMark) return USCRIPT_HAN;
  const auto point = static_cast<UChar32>(c);
  UVersionInfo age;
  u_charAge(point, age);
  if (age[0] > kUnicode9) return kAny;
  UErrorCode status = U_ZERO_ERROR;
  const UScriptCode script = uscript_getScript(point, &status);
  if (U_FAILURE(status)) return kAny;
  return script == USCRIPT_HIRAGANA || script == USCRIPT_KATAKANA ? USCRIPT_HAN : script;
}

}  // namespace

std::vector<SplitSpan> script_spans(std::string_view text) {
  std::vector<SplitSpan> spans;
  UScriptCode before = kAny;
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    const UScriptCode script = script_of(next_code_point(text, at));
    if (script != kAny && script != before) {
      spans.push_back({begin, at, false});
      before = script;
    } else if (!spans.empty()) {
      spans.back().end = at;
    }
  }
  return spans;
}

}  // namespace longspan
