#include "tools/support/man_page.h"

#include <gmock/gmock.h>

#include <cstdio>
#include <cstdlib>

#include "tests/support/temporary_folder.h"
#include "tests/tools/support/commands.h"

namespace longspan {
namespace {

using testing::HasSubstr;

TEST(ManPage, HasEveryOptionAndNoRequestOfTheTexts) {
  const std::string page = man_page(kMade);
  EXPECT_THAT(page, HasSubstr(".SH NAME\nlongspan\\-made \\- a command: of the tests\n"));
  EXPECT_THAT(page, HasSubstr("A second line; C:\\epath\n"));
  EXPECT_THAT(page, HasSubstr(".TP\n.B MODEL\na model\n"));
  EXPECT_THAT(page,
              HasSubstr(".SS Required\n.TP\n.B \\-\\-out, \\-\\-output FILE\nwhat to write\n"));
  EXPECT_THAT(page, HasSubstr(".B \\-\\-count N\nhow many (default: 3)\n"));
  EXPECT_THAT(page, HasSubstr(".SS Looks\n.TP\n.B \\-\\-colour COLOUR\n"));
  EXPECT_THAT(page, HasSubstr("  .dots 'and quotes'\n"));
}

TEST(ManPage, OfTheProgramNamesTheCommands) {
  const std::string page = man_page(kMadeCommands);
  EXPECT_THAT(page, HasSubstr(".TP\n.B made\na command: of the tests\n"));
  EXPECT_THAT(page, HasSubstr(".BR longspan\\-made (1)\n"));
}

TEST(ManPage, RendersWithoutAWarning) {
  if (std::system("groff --version > /dev/null 2>&1") != 0) GTEST_SKIP() << "no groff here";
  TemporaryFolder folder;
  for (const auto& page : {man_page(kMade), man_page(kMadeCommands)}) {
    const std::string command =
        "groff -man -ww -Tutf8 '" + folder.write("page.1", page) + "' 2>&1 > /dev/null";
    std::FILE* pipe = popen(command.c_str(), "r");
    std::string warnings;
    for (int c; (c = std::fgetc(pipe)) != EOF;) warnings += static_cast<char>(c);
    EXPECT_EQ(pclose(pipe), 0);
    EXPECT_EQ(warnings, "");
  }
}

}  // namespace
}  // namespace longspan
