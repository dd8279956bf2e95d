#include "src/core/utf8.h"

#include <gtest/gtest.h>

namespace longspan {
namespace {

TEST(Utf8, KeepsWhatIsWellFormed) {
  std::string text = "plain ASCII, \xC3\xA9 \xE6\x97\xA5 \xF0\x9F\x98\x80 \xF4\x8F\xBF\xBF";
  EXPECT_EQ(valid_utf8_prefix(text), text.size());
  EXPECT_EQ(repair_utf8(text).text, text);
  EXPECT_EQ(repair_utf8(text).replaced, 0);
}

TEST(Utf8, ReplacesEachMaximalSubpartOnceAsPythonDoes) {
  const std::string bad = "\xEF\xBF\xBD";
  EXPECT_EQ(repair_utf8("\xFF").text, bad);
  EXPECT_EQ(repair_utf8("\xF0\x9F\x98z").text, bad + "z");
  EXPECT_EQ(repair_utf8("\xED\xA0\x80").text, bad + bad + bad);  // a surrogate
  EXPECT_EQ(repair_utf8("\xC0\x80").text, bad + bad);            // overlong
  EXPECT_EQ(repair_utf8("\xE2\x82").replaced, 1);                // cut at the end
}

TEST(Utf8, RoundTripsEveryCodePoint) {
  for (char32_t c = 0; c < 0x110000; c += 37) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string text;
    append_utf8(text, c);
    size_t at = 0;
    ASSERT_EQ(next_code_point(text, at), c);
    ASSERT_EQ(at, text.size());
  }
}

}  // namespace
}  // namespace longspan
