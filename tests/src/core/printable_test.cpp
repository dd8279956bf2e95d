#include "src/core/printable.h"

#include <gmock/gmock.h>

#include <string>
#include <string_view>
#include <vector>

#include "src/core/diagnostics.h"
#include "src/core/log.h"

namespace longspan {
namespace {

TEST(Printable, LeavesTextAsItIs) {
  for (const char* text :
       {"", "model.layers.0", "书/第一章.txt", "caf\u00e9 \U0001F600", "C:\\a"}) {
    EXPECT_EQ(printable_value(text), text);
    EXPECT_EQ(printable_message(text), text);
  }
}

TEST(Printable, EscapesWhatSteersATerminal) {
  struct Case {
    std::string_view given;
    const char* shown;
  };
  for (const Case& c : {Case{"\x1b[2J", "\\x1b[2J"},
                        {std::string_view("a\0b", 3), "a\\x00b"},
                        {"\r\b\x7f", "\\x0d\\x08\\x7f"},
                        {"\u009b", "\\u009b"},      // CSI of C1
                        {"a\u202eb", "a\\u202eb"},  // right to left from here on
                        {"\u2066\u200b", "\\u2066\\u200b"},
                        {"\ufeff", "\\ufeff"},
                        {"\U000E0041", "\\U000e0041"},
                        {"\xff\xe4\xb8", "\\xff\\xe4\\xb8"}}) {
    EXPECT_EQ(printable_value(c.given), c.shown);
    EXPECT_EQ(printable_message(c.given), c.shown);
  }
}

TEST(Printable, KeepsTheLinesOfAMessageAndNotThoseOfAValue) {
  EXPECT_EQ(printable_message("a\n\tb\n"), "a\n\tb\n");
  EXPECT_EQ(printable_value("a\n\tb\n"), "a\\n\\tb\\n");
}

TEST(Printable, CutsALongValueInTheMiddle) {
  const std::string longest(200, 'x');
  EXPECT_EQ(printable_value(longest), longest);
  EXPECT_EQ(printable_value(longest + "yz"),
            std::string(133, 'x') + "[... 2 more ...]" + std::string(65, 'x') + "yz");
  std::string characters;  // of three bytes each
  for (int i = 0; i < 30; ++i) characters += "书";
  EXPECT_EQ(printable_value(characters, 6), "书书书书[... 24 more ...]书书");
}

TEST(Printable, CutsEachLineOfAMessage) {
  const std::string shown = printable_message("first\n" + std::string(70'000, 'x') + "\nlast");
  EXPECT_LT(shown.size(), 1100u);
  EXPECT_THAT(shown, testing::StartsWith("first\nxxx"));
  EXPECT_THAT(shown, testing::EndsWith("xxx\nlast"));
}

TEST(Printable, GivesTheSameAgain) {
  for (const std::string text : {"\x1b\u202e\n", "\xff", "plain"}) {
    EXPECT_EQ(printable_value(printable_value(text)), printable_value(text));
  }
}

TEST(Log, ShowsNothingThatSteersATerminal) {
  testing::internal::CaptureStderr();
  log_error("a\x1b[2J.json: \u202e\xff");
  log_warning(std::string(70'000, 'x'));
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              testing::MatchesRegex("error: a\\\\x1b\\[2J.json: \\\\u202e\\\\xff\n"
                                    "warning: x+\\[... 69000 more ...\\]x+\n"));
}

TEST(Diagnostics, GiveEachErrorOneLine) {
  Diagnostics diagnostics("config.json");
  diagnostics.error("rope\nerror: none", "unknown\x1bkey\nb");
  EXPECT_THAT(diagnostics.errors(),
              testing::ElementsAre("config.json: rope\\nerror: none: unknown\\x1bkey\\nb"));
}

}  // namespace
}  // namespace longspan
