#include "src/core/base64.h"

#include <gtest/gtest.h>

namespace longspan {
namespace {

// The vectors of RFC 4648, section 10.
TEST(Base64, DecodesWithPadding) {
  EXPECT_EQ(decode_base64(""), "");
  EXPECT_EQ(decode_base64("Zg=="), "f");
  EXPECT_EQ(decode_base64("Zm8="), "fo");
  EXPECT_EQ(decode_base64("Zm9vYmFy"), "foobar");
  EXPECT_EQ(decode_base64("+/8A"), std::string("\xfb\xff\x00", 3));
}

TEST(Base64, TakesNothingElse) {
  for (const char* text : {"Zg", "Zg=", "Zg=a", "Zm9v\n", " Zm9", "Zm9*", "===="}) {
    EXPECT_FALSE(decode_base64(text)) << text;
  }
}

}  // namespace
}  // namespace longspan
