#include "data/tokenizers/unicode_nfc.h"

#include <gtest/gtest.h>

namespace longspan {
namespace {

std::string nfc(std::string_view text) {
  std::string storage;
  return std::string(with_nfc(text, storage));
}

TEST(UnicodeNfc, ComposesAndOrdersMarks) {
  EXPECT_EQ(nfc("e\u0301"), "\u00e9");
  EXPECT_EQ(nfc("\u212b"), "\u00c5");
  EXPECT_EQ(nfc("a\u0301\u0316"), "\u00e1\u0316");
  EXPECT_EQ(nfc("\u1100\u1161\u11a8"), "\uac01");
  EXPECT_EQ(nfc("\u0958"), "\u0915\u093c");  // excluded from composition
}

TEST(UnicodeNfc, GivesTheTextItselfWhereNothingChanges) {
  std::string storage;
  for (std::string_view text : {"", "plain", "na\u00efve", "\u65e5\u672c\u8a9e \u05d0"}) {
    EXPECT_EQ(with_nfc(text, storage).data(), text.data()) << text;
  }
}

// tokenizers 0.23.3 leaves them as they are: its tables end with Unicode 9.
TEST(UnicodeNfc, LeavesYoungerCharactersWhereTheyStand) {
  std::string mark_of_unicode_11 = "a\u07fd\u0327\u0316";
  EXPECT_EQ(nfc(mark_of_unicode_11), mark_of_unicode_11);
}

}  // namespace
}  // namespace longspan
