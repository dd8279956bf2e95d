#include "tools/support/completion.h"

#include <gmock/gmock.h>

#include <cstdio>
#include <fstream>

#include "src/core/text.h"
#include "tests/support/temporary_folder.h"
#include "tests/tools/support/commands.h"

namespace longspan {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

/// What bash offers for the last of these words, with the script sourced.
std::vector<std::string> offered(const std::string& words, const std::string& folder = "/") {
  const TemporaryFolder scripts;
  scripts.write("longspan.bash", bash_completion(kMadeCommands));
  scripts.write("ask.bash", "cd \"$2\"; source \"$1\" || exit\nCOMP_WORDS=(longspan " + words +
                                ")\nCOMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n_longspan\n"
                                "printf '%s\\n' \"${COMPREPLY[@]}\"\n");
  const std::string command = "bash '" + scripts.path("ask.bash") + "' '" +
                              scripts.path("longspan.bash") + "' '" + folder + "' 2>&1";
  std::FILE* pipe = popen(command.c_str(), "r");
  std::string output;
  for (int c; (c = std::fgetc(pipe)) != EOF;) output += static_cast<char>(c);
  EXPECT_EQ(pclose(pipe), 0) << output;
  std::vector<std::string> lines = split(output, '\n');
  std::erase(lines, "");
  return lines;
}

TEST(BashCompletion, OffersCommandsAndTheirOptions) {
  EXPECT_THAT(offered("''"), ElementsAre("made", "--help", "--version"));
  EXPECT_THAT(offered("m"), ElementsAre("made"));
  EXPECT_THAT(offered("made --"),
              UnorderedElementsAre("--out", "--output", "--text", "--count", "--resume", "--force",
                                   "--colour", "--help"));
  EXPECT_THAT(offered("made model --co"), ElementsAre("--count", "--colour"));
}

TEST(BashCompletion, OffersTheValuesOfAnOption) {
  EXPECT_THAT(offered("made --colour ''"), ElementsAre("red", "green"));
  EXPECT_THAT(offered("made --colour g"), ElementsAre("green"));
  EXPECT_THAT(offered("made --colour = g"), ElementsAre("green"));  // as bash cuts --colour=g
  EXPECT_THAT(offered("made --colour ="), ElementsAre("red", "green"));
}

TEST(BashCompletion, OffersFilesElsewhere) {
  TemporaryFolder folder;
  folder.write("a name.txt", "");
  folder.write("another", "");
  const std::string place = folder.path().string();
  EXPECT_THAT(offered("made --out a", place), UnorderedElementsAre("a name.txt", "another"));
  EXPECT_THAT(offered("made an", place), ElementsAre("another"));
  EXPECT_THAT(offered("made zz", place), IsEmpty());
}

TEST(ZshCompletion, HasALineForEachOption) {
  const std::string script = zsh_completion(kMadeCommands);
  EXPECT_THAT(script, HasSubstr("'made:a command\\: of the tests'\n"));
  EXPECT_THAT(script, HasSubstr("'--out=[what to write]:FILE:_files' \\\n"));
  EXPECT_THAT(script, HasSubstr("'--output=[what to write]:FILE:_files' \\\n"));
  EXPECT_THAT(script, HasSubstr("'*--text=[documents]:FILE...:_files' \\\n"));
  EXPECT_THAT(script, HasSubstr("'--resume=-[go on]::PATH:_files' \\\n"));
  EXPECT_THAT(script, HasSubstr("'--force[replace it]' \\\n"));
  EXPECT_THAT(script, HasSubstr("'--colour=[of the lines]:COLOUR:(red green)' \\\n"));
}

TEST(FishCompletion, HasALineForEachOption) {
  const std::string script = fish_completion(kMadeCommands);
  const std::string option = "complete -c longspan -n '__fish_seen_subcommand_from made' -l ";
  EXPECT_THAT(script, HasSubstr("complete -c longspan -n __fish_use_subcommand -f -a made -d 'a "
                                "command: of the tests'\n"));
  EXPECT_THAT(script, HasSubstr(option + "out -r -F -d 'what to write'\n"));
  EXPECT_THAT(script, HasSubstr(option + "force -d 'replace it'\n"));
  EXPECT_THAT(script, HasSubstr(option + "resume -d 'go on'\n"));
  EXPECT_THAT(script, HasSubstr(option + "colour -x -a 'red green' -d 'of the lines'\n"));
}

}  // namespace
}  // namespace longspan
