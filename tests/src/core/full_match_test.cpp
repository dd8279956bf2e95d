#include "src/core/full_match.h"

#include <gmock/gmock.h>

#include "src/core/stopwatch.h"
#include "tests/support/errors.h"

namespace longspan {
namespace {

using testing::HasSubstr;

std::string refused(const std::string& pattern, const std::string& text) {
  return error_of([&] { full_match(pattern, text, "x"); }, ExitCode::kModel);
}

TEST(FullMatch, TakesTheWholeText) {
  EXPECT_TRUE(full_match("q_proj", "q_proj", "x"));
  EXPECT_FALSE(full_match("q_pro", "q_proj", "x"));
  EXPECT_FALSE(full_match("_proj", "q_proj", "x"));
  EXPECT_TRUE(full_match("q|q_proj", "q_proj", "x"));  // where a mere match would stop at "q"
  EXPECT_TRUE(full_match(R"((.*\.)?layers\.[0-3]\.(?P<part>\w+)\.[qv]_proj)",
                         "model.layers.2.self_attn.v_proj", "x"));
  EXPECT_TRUE(full_match("", "", "x"));
  EXPECT_FALSE(full_match("a", "a\n", "x"));
  EXPECT_FALSE(full_match("a$", "a\n", "x"));
  EXPECT_TRUE(full_match("\\w.", "\u00e9\u4e2d", "x"));  // characters, not bytes
}

TEST(FullMatch, RefusesMalformedPatterns) {
  EXPECT_THAT(refused("(q", "q"), HasSubstr("x: '(q' is no regular expression: missing closing"));
  EXPECT_THAT(refused("\xff", "q"), HasSubstr("UTF-8"));
  EXPECT_THAT(refused("\\C", "q"), HasSubstr("\\C"));
  EXPECT_THAT(refused(".*", "\xff"), HasSubstr("UTF-8"));
}

TEST(FullMatch, EndsSoonWhateverThePattern) {
  std::string name = "model.layers.0.self_attn." + std::string(100, 'a') + "_proj";
  const Stopwatch stopwatch;
  // Ends that a name might have, or PCRE2 sees at once that there is none.
  for (const char* pattern : {"(.+)+[0-9]", "(?:.|a)*[0-9]", "((((.+)+)+)+)+[0-9]",
                              "(.*.*.*.*.*.*.*.*)*[0-9]", "(.+)+\\1[0-9]"}) {
    EXPECT_THAT(refused(pattern, name), testing::AnyOf("no error", HasSubstr("limit exceeded")))
        << pattern;
  }
  EXPECT_THAT(refused("(.+)+[0-9]", name), HasSubstr("match limit exceeded; simplify it"));
  EXPECT_THAT(refused("(?R)*(a|(?R))", name), HasSubstr("x: "));
  EXPECT_THAT(refused(std::string(100, '(') + std::string(100, ')') + "{65535}{65535}", name),
              HasSubstr("x: "));
  EXPECT_LT(stopwatch.seconds(), 5);
}

}  // namespace
}  // namespace longspan
