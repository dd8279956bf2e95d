#include "data/tokenizers/unicode_categories.h"

#include <unicode/uchar.h>

#include <cstdint>

namespace longspan {

namespace {

/// The mask of the category by that version of Unicode, 8 or 9; 0 for younger characters.
uint32_t category_mask(char32_t c, uint8_t version) {
  switch (c) {  // those that a later Unicode put elsewhere
    case 0x166D:
    case 0x111C9:
      return U_GC_PO_MASK;
    case 0x1734:
      return U_GC_MN_MASK;
    case 0x1885:
    case 0x1886:
      return version < 9 ? U_GC_LO_MASK : U_GC_MN_MASK;
    case 0x1CF2:
    case 0x1CF3:
    case 0xA9BD:
      return U_GC_MC_MASK;
    default:
      break;
  }
  const auto point = static_cast<UChar32>(c);
  UVersionInfo age;
  u_charAge(point, age);
  return age[0] <= version ? U_GET_GC_MASK(point) : 0;
}

}  // namespace

bool is_punctuation(char32_t c) {
  constexpr char32_t kAsciiEnd = 0x80;
  if (c >= kAsciiEnd) return (category_mask(c, 8) & U_GC_P_MASK) != 0;
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
         (c >= '{' && c <= '~');
}

bool is_nonspacing_mark(char32_t c) { return (category_mask(c, 8) & U_GC_MN_MASK) != 0; }

bool is_control_or_format(char32_t c) {
  return (category_mask(c, 8) & (U_GC_CC_MASK | U_GC_CF_MASK | U_GC_CO_MASK)) != 0;
}

bool is_mark(char32_t c) { return (category_mask(c, 9) & U_GC_M_MASK) != 0; }

}  // namespace longspan
