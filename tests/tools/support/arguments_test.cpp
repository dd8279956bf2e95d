#include "tools/support/arguments.h"

#include <gmock/gmock.h>

#include "tests/support/errors.h"
#include "tests/tools/support/commands.h"

namespace longspan {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::optional<Arguments> parse(std::vector<std::string> words) {
  words.insert(words.begin(), "made");
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  return parse_arguments(kMade, static_cast<int>(argv.size()), argv.data());
}

std::string refused(const std::vector<std::string>& words) {
  return error_of([&] { parse(words); }, ExitCode::kUsage);
}

TEST(Arguments, AreFoundByNameAndByPlace) {
  auto arguments = parse({"m", "--out", "o", "a,b", "c", "--force"});
  EXPECT_EQ((*arguments)["model"], "m");
  EXPECT_EQ((*arguments)["out"], "o");
  EXPECT_THAT(arguments->all("text"), ElementsAre("a,b", "c"));  // a comma is part of a name
  EXPECT_TRUE(arguments->given("force"));
  EXPECT_THAT(parse({"m", "--out=o", "--text", "a", "--text=b"})->all("text"),
              ElementsAre("a", "b"));
  EXPECT_EQ((*parse({"--model", "m", "--out=o"}))["model"], "m");
  EXPECT_EQ((*parse({"m", "--output", "o"}))["out"], "o");
}

TEST(Arguments, NotGivenHaveTheirDefaults) {
  auto arguments = parse({"m", "--out", "o"});
  EXPECT_EQ((*arguments)["count"], "3");
  EXPECT_EQ(arguments->number<int>("count"), 3);
  EXPECT_EQ((*arguments)["colour"], "red");
  EXPECT_EQ((*arguments)["resume"], "");
  for (const char* name : {"count", "colour", "resume", "force", "text"}) {
    EXPECT_FALSE(arguments->given(name)) << name;
  }
}

TEST(Arguments, TheLastOfSeveralValuesCounts) {
  EXPECT_EQ((*parse({"m", "--out=a", "--out", "b"}))["out"], "b");
}

TEST(Arguments, AValueThatMayBeLeftOutStandsBehindAnEqualsSign) {
  auto bare = parse({"m", "--out=o", "--resume", "x"});
  EXPECT_TRUE(bare->given("resume"));
  EXPECT_EQ((*bare)["resume"], "");
  EXPECT_THAT(bare->all("text"), ElementsAre("x"));
  EXPECT_EQ((*parse({"m", "--out=o", "--resume=x"}))["resume"], "x");
}

TEST(Arguments, WhatIsWrongIsNamedWithTheNearestOption) {
  EXPECT_EQ(refused({"m", "--out=o", "--colur", "red"}),
            "longspan made: there is no option --colur; did you mean '--colour'?; see longspan made "
            "-h");
  EXPECT_EQ(
      refused({"m", "--cuont=5"}),
      "longspan made: there is no option --cuont; did you mean '--count'?; see longspan made -h");
  EXPECT_EQ(refused({"m", "--zzzzzzzzz"}),
            "longspan made: there is no option --zzzzzzzzz; see longspan made -h");
  EXPECT_THAT(refused({"m", "-x"}), HasSubstr("there is no option -x"));
  EXPECT_THAT(refused({"m", "--out=o", "--count"}), HasSubstr("count"));
  EXPECT_THAT(refused({"m", "--out=o", "--force=no"}), HasSubstr("no"));
  EXPECT_THAT(refused({"m", "--out=o", "--force=false"}), HasSubstr("--force takes no value"));
  EXPECT_THAT(refused({"m", "--cuont=5", "--out"}), HasSubstr("cuont"));  // two faults
}

TEST(Arguments, WhatIsMissingIsNamed) {
  EXPECT_EQ(refused({"--out=o"}), "longspan made: MODEL is missing; see longspan made -h");
  EXPECT_EQ(refused({"m"}), "longspan made: --out FILE is missing; see longspan made -h");
}

TEST(Arguments, OneTooManyIsNamed) {
  Command narrow = kMade;
  narrow.arguments = narrow.arguments.first(1);
  std::string words[] = {"made", "m", "more", "--out=o"};
  char* argv[] = {words[0].data(), words[1].data(), words[2].data(), words[3].data()};
  EXPECT_EQ(error_of([&] { parse_arguments(narrow, 4, argv); }, ExitCode::kUsage),
            "longspan made: 'more' is one argument too many; see longspan made -h");
}

TEST(Arguments, ANumberIsReadWholly) {
  auto arguments = parse({"m", "--out=o", "--count", "3x"});
  EXPECT_THAT(error_of([&] { arguments->number<int>("count"); }, ExitCode::kUsage),
              HasSubstr("--count: '3x' is not a whole number"));
}

TEST(Arguments, ACommandAsksOnlyForItsOwn) {
  auto arguments = parse({"m", "--out=o"});
  EXPECT_THROW((*arguments)["nothing"], std::logic_error);
}

TEST(Arguments, HelpEndsTheCommand) {
  testing::internal::CaptureStdout();
  EXPECT_FALSE(parse({"-h"}));
  EXPECT_THAT(testing::internal::GetCapturedStdout(), HasSubstr("longspan made MODEL"));
}

}  // namespace
}  // namespace longspan
