#include "data/tokenizers/unicode_normalizer.h"

#include <gtest/gtest.h>

namespace longspan {
namespace {

std::string nfc(std::string_view text) {
  std::string storage;
  return std::string(in_form(UnicodeForm::kNfc, text, storage));
}

TEST(UnicodeNormalizer, ComposesAndOrdersMarks) {
  EXPECT_EQ(nfc("e\u0301"), "\u00e9");
  EXPECT_EQ(nfc("\u212b"), "\u00c5");
  EXPECT_EQ(nfc("a\u0301\u0316"), "\u00e1\u0316");
  EXPECT_EQ(nfc("\u1100\u1161\u11a8"), "\uac01");
  EXPECT_EQ(nfc("\u0958"), "\u0915\u093c");  // excluded from composition
}

// tokenizers 0.23.3: normalizers.NFD() and so on, normalize_str.
TEST(UnicodeNormalizer, HasTheOtherForms) {
  auto made = [](UnicodeForm form, std::string_view text) {
    std::string storage;
    return std::string(in_form(form, text, storage));
  };
  EXPECT_EQ(made(UnicodeForm::kNfd, "\u00e9\uac01"), "e\u0301\u1100\u1161\u11a8");
  EXPECT_EQ(made(UnicodeForm::kNfkc, "\ufb01 \u00bd e\u0301"), "fi 1\u20442 \u00e9");
  EXPECT_EQ(made(UnicodeForm::kNfkd, "\ufb01\u00e9\u00a0"), "fie\u0301 ");
}

TEST(UnicodeNormalizer, GivesTheTextItselfWhereNothingChanges) {
  std::string storage;
  for (std::string_view text : {"", "plain", "na\u00efve", "\u65e5\u672c\u8a9e \u05d0"}) {
    EXPECT_EQ(in_form(UnicodeForm::kNfc, text, storage).data(), text.data()) << text;
  }
}

// tokenizers 0.23.3 leaves them as they are: its tables end with Unicode 9.
TEST(UnicodeNormalizer, LeavesYoungerCharactersWhereTheyStand) {
  std::string mark_of_unicode_11 = "a\u07fd\u0327\u0316";
  EXPECT_EQ(nfc(mark_of_unicode_11), mark_of_unicode_11);
}

}  // namespace
}  // namespace longspan
