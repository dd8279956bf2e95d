#include "data/tokenizers/unicode_categories.h"

#include <gtest/gtest.h>

namespace longspan {
namespace {

// tokenizers 0.23.3: Punctuation() cuts, BertNormalizer(strip_accents=True) and
// BertNormalizer(clean_text=True) drop.
TEST(UnicodeCategories, PunctuationIsThatOfUnicode8) {
  for (char32_t sign :
       {U'!', U'$', U'^', U'~', U'\u00a1', U'\u3001', U'\u166d', U'\U000111c9', U'\U000111dd'}) {
    EXPECT_TRUE(is_punctuation(sign)) << std::hex << static_cast<uint32_t>(sign);
  }
  for (char32_t other :
       {U'a', U'0', U' ', U'\x7f', U'\u20ac', U'\u2e43', U'\u061d', U'\U0001144b'}) {
    EXPECT_FALSE(is_punctuation(other)) << std::hex << static_cast<uint32_t>(other);
  }
}

TEST(UnicodeCategories, NonspacingMarksAreThoseOfUnicode8) {
  EXPECT_TRUE(is_nonspacing_mark(U'\u0301'));
  EXPECT_TRUE(is_nonspacing_mark(U'\u1734'));
  for (char32_t other : {U'\u0903', U'\u20dd', U'\u1885', U'\ua9bd', U'\u07fd', U'\U000111c9'}) {
    EXPECT_FALSE(is_nonspacing_mark(other)) << std::hex << static_cast<uint32_t>(other);
  }
}

// tokenizers 0.23.3: StripAccents() drops.
TEST(UnicodeCategories, MarksAreThoseOfUnicode9) {
  for (char32_t mark : {U'\u0301', U'\u0903', U'\u20dd', U'\u1885', U'\u1cf2', U'\U00011438'}) {
    EXPECT_TRUE(is_mark(mark)) << std::hex << static_cast<uint32_t>(mark);
  }
  for (char32_t other : {U'a', U'\u07fd', U'\U000111c9'}) EXPECT_FALSE(is_mark(other));
}

TEST(UnicodeCategories, ControlsAreWithFormatAndPrivateUse) {
  for (char32_t control :
       {U'\x01', U'\x7f', U'\u00ad', U'\u200b', U'\u180e', U'\ue000', U'\U000f0000'}) {
    EXPECT_TRUE(is_control_or_format(control)) << std::hex << static_cast<uint32_t>(control);
  }
  for (char32_t other : {U'a', U'\u2028', U'\u0378', U'\u08e2', U'\U000110cd'}) {
    EXPECT_FALSE(is_control_or_format(other)) << std::hex << static_cast<uint32_t>(other);
  }
}

}  // namespace
}  // namespace longspan
