#include "data/tokenizers/character_filter.h"

#include <unicode/uchar.h>

#include <algorithm>
#include <cstdint>
#include <iterator>

#include "data/tokenizers/byte_level_alphabet.h"
#include "data/tokenizers/unicode_categories.h"
#include "src/core/utf8.h"

namespace longspan {

namespace {

/// Capitals of Unicode 16 and 17, which tokenizers has and ICU 72 has not.
char32_t lower_of_younger(char32_t c) {
  struct Capitals {
    char32_t first, last;
    int32_t step, to_lower;
  };
  constexpr Capitals kCapitals[] = {
      {0x1C89, 0x1C89, 1, 1},      {0xA7CB, 0xA7CB, 1, 0x264 - 0xA7CB},
      {0xA7CC, 0xA7CE, 2, 1},      {0xA7D2, 0xA7D4, 2, 1},
      {0xA7DA, 0xA7DA, 1, 1},      {0xA7DC, 0xA7DC, 1, 0x19B - 0xA7DC},
      {0x10D50, 0x10D65, 1, 0x20}, {0x16EA0, 0x16EB8, 1, 0x1B}};
  for (const auto& [first, last, step, to_lower] : kCapitals) {
    if (c >= first && c <= last && (c - first) % static_cast<char32_t>(step) == 0) {
      return static_cast<char32_t>(static_cast<int32_t>(c) + to_lower);
    }
  }
  return c;
}

/// As Rust's char::to_lowercase: a sigma at the end of a word is like any other.
void append_lower(std::string& text, char32_t c) {
  constexpr char32_t kDottedI = 0x130;  // the one that becomes two
  if (c == kDottedI) {
    text += "i\u0307";
    return;
  }
  const auto lower = static_cast<char32_t>(u_tolower(static_cast<UChar32>(c)));
  append_utf8(text, lower == c ? lower_of_younger(c) : lower);
}

void append_unless_mark(std::string& text, char32_t c) {
  if (!is_mark(c)) append_utf8(text, c);
}

/// The rules of SentencePiece's nmt_nfkc for controls and white space.
void append_nmt(std::string& text, char32_t c) {
  const bool dropped = (c >= 0x01 && c <= 0x08) || c == 0x0B || (c >= 0x0E && c <= 0x1F) ||
                       c == 0x7F || c == 0x8F || c == 0x9F;
  if (dropped) return;
  const bool space = c == 0x09 || c == 0x0A || c == 0x0C || c == 0x0D || c == 0x1680 ||
                     (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 || c == 0x2581 ||
                     c == 0xFEFF || c == 0xFFFD;
  append_utf8(text, space ? U' ' : c);
}

void append_byte_names(std::string& text, char32_t c) {
  std::string bytes;
  append_utf8(bytes, c);
  for (char byte : bytes) text += byte_level_name(static_cast<uint8_t>(byte));
}

constexpr CharacterFilter kFilters[] = {{"Lowercase", append_lower},
                                        {"StripAccents", append_unless_mark},
                                        {"Nmt", append_nmt},
                                        {"ByteLevel", append_byte_names, 2}};

}  // namespace

const CharacterFilter* find_character_filter(std::string_view name) {
  const auto found = std::find_if(std::begin(kFilters), std::end(kFilters),
                                  [&](const auto& filter) { return filter.name == name; });
  return found == std::end(kFilters) ? nullptr : &*found;
}

std::string_view filtered(const CharacterFilter& filter, std::string_view text,
                          std::string& storage) {
  storage.clear();
  for (size_t at = 0; at < text.size();) filter.append(storage, next_code_point(text, at));
  return storage == text ? text : std::string_view(storage);
}

}  // namespace longspan
