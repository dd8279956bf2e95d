#include "tools/support/help.h"

#include <gmock/gmock.h>

#include "src/core/text.h"
#include "tests/tools/support/commands.h"

namespace longspan {
namespace {

using testing::ElementsAre;

TEST(Help, IsGroupedWithHelpLast) {
  EXPECT_EQ(help_text(kMade),
            "longspan made MODEL [FILE...] --out FILE [OPTION...]\n"
            "\n"
            "Does nothing.\n"
            "A second line; C:\\path\n"
            "\n"
            "Arguments:\n"
            "  MODEL                 a model\n"
            "  [FILE...]             documents\n"
            "\n"
            "Required:\n"
            "  --out, --output FILE  what to write\n"
            "\n"
            "Options:\n"
            "  --text FILE...        documents\n"
            "  --count N             how many (default: 3)\n"
            "  --resume[=PATH]       go on\n"
            "  --force               replace it\n"
            "\n"
            "Looks:\n"
            "  --colour COLOUR       of the lines; it's only seen on a terminal: red, green "
            "(default: red)\n"
            "\n"
            "  -h, --help            this help\n"
            "\n"
            "Example:\n"
            "  longspan made m --out x\n"
            "  .dots 'and quotes'\n");
}

TEST(Help, ChoicesStandBeforeADefaultInWords) {
  EXPECT_EQ(explained({"c", "C", "", "of it (default: its own)", "", made_colours}),
            "of it: red, green (default: its own)");
}

TEST(Help, LongTextsAreBrokenAtSpaces) {
  EXPECT_THAT(wrapped("one two three", 7), ElementsAre("one two", "three"));
  EXPECT_THAT(wrapped("a very-long-word b", 4), ElementsAre("a", "very-long-word", "b"));
  EXPECT_THAT(wrapped("kept\nlines", 80), ElementsAre("kept", "lines"));

  const std::string words =
      "word word word word word word word word word word word word word word ";
  const std::string twice = words + words;
  const Option wide[] = {{"an-option-with-a-long-name", "AND-A-VALUE", "", twice}};
  Command command = kMade;
  command.options[0] = wide;
  auto lines = split(help_text(command), '\n');
  for (const auto& line : lines) EXPECT_LE(line.size(), 100u) << line;
  EXPECT_THAT(lines, testing::Contains("  --an-option-with-a-long-name AND-A-VALUE"));
}

TEST(MemoryAdvice, NamesOnlyWhatTheCommandHas) {
  EXPECT_EQ(memory_advice(kMade), "");
  const Option recipe[] = {{"recipe", "RECIPE", "", ""}};
  EXPECT_EQ(memory_advice({.arguments = recipe}),
            "; try a shorter train.seq_len or a smaller train.batch_size");
  const Option options[] = {{"lengths", "LIST", "", ""}, {"quantization", "KIND", "none", ""}};
  EXPECT_EQ(memory_advice({.options = {options}}),
            "; try a shorter --lengths or --quantization nf4");
}

}  // namespace
}  // namespace longspan
