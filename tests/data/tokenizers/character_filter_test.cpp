#include "data/tokenizers/character_filter.h"

#include <gtest/gtest.h>

#include "data/tokenizers/bert_normalizer.h"

namespace longspan {
namespace {

std::string made(std::string_view name, std::string_view text) {
  std::string storage;
  return std::string(filtered(*find_character_filter(name), text, storage));
}

// tokenizers 0.23.3: normalizers.Lowercase() and so on, normalize_str.
TEST(CharacterFilter, LowercaseKnowsNoWords) {
  EXPECT_EQ(made("Lowercase", "Stra\u1e9ee \u0391\u03a3 \u0130"),
            "stra\u00dfe \u03b1\u03c3 i\u0307");
  EXPECT_EQ(made("Lowercase", "\u1c89 \ua7cb \ua7ce \ua7cf \ua7dc \U00010d65 \U00016ea0"),
            "\u1c8a \u0264 \ua7cf \ua7cf \u019b \U00010d85 \U00016ebb");
}

TEST(CharacterFilter, StripAccentsDropsTheMarksOfUnicode9) {
  EXPECT_EQ(made("StripAccents", "e\u0301\u00e9 \u0915\u093e\u20dd"), "e\u00e9 \u0915");
  EXPECT_EQ(made("StripAccents", "a\u07fd"), "a\u07fd");
}

TEST(CharacterFilter, NmtMakesSpacesAndDropsControls) {
  EXPECT_EQ(made("Nmt", "a\tb\r\nc\x01\x1b\x7f\u008f\u2581\u200bd\u00a0"), "a b  c  d\u00a0");
}

TEST(CharacterFilter, ByteLevelNamesEachByte) {
  EXPECT_EQ(made("ByteLevel", "a \u00e9\u65e5"), "a\u0120\u00c3\u00a9\u00e6\u0139\u00a5");
}

TEST(CharacterFilter, BertCleansSpacesAndStrips) {
  const auto by = [](const CharacterFilter& filter, std::string_view text) {
    std::string storage;
    return std::string(filtered(filter, text, storage));
  };
  EXPECT_EQ(by(kBertCleanText, "a\tb\x01\u0085\u00a0c\ufffd\u00ad\u2028d\u08e2"), "a b c d\u08e2");
  EXPECT_EQ(by(kBertChineseCharacters, "a\u65e5\u672cb\u3042\U0002b820\U0002b920"),
            "a \u65e5  \u672c b\u3042\U0002b820 \U0002b920 ");
  EXPECT_EQ(by(kBertStripAccents, "e\u0301\u0903\u1885"), "e\u0903\u1885");
}

TEST(CharacterFilter, GivesTheTextItselfWhereNothingChanges) {
  std::string storage;
  const std::string_view text = "plain";
  EXPECT_EQ(filtered(*find_character_filter("Lowercase"), text, storage).data(), text.data());
  EXPECT_EQ(find_character_filter("Uppercase"), nullptr);
}

}  // namespace
}  // namespace longspan
