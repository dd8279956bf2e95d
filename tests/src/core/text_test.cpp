#include "src/core/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cmath>

#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"

namespace longspan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

TEST(Text, NearestFindsASlipOfTheFinger) {
  std::vector<std::string> keys{"factor", "beta_fast", "beta_slow"};
  EXPECT_EQ(nearest("facter", keys), "factor");
  EXPECT_EQ(nearest("beta_fst", keys), "beta_fast");
  EXPECT_EQ(nearest("trian", std::vector<std::string>{"report", "train"}), "train");
}

TEST(Text, NearestSaysNothingWhenNothingIsNear) {
  std::vector<std::string> keys{"factor"};
  EXPECT_EQ(nearest("attention", keys), "");
  EXPECT_EQ(nearest("", keys), "");
  EXPECT_EQ(nearest("factor", {}), "");
}

TEST(Text, SplitKeepsEmptyPartsAndOfNothingMakesNothing) {
  EXPECT_THAT(split("a,,b,", ','), ElementsAre("a", "", "b", ""));
  EXPECT_THAT(split("", ','), IsEmpty());
}

TEST(Text, LowerCaseIsThatOfAsciiAlone) {
  EXPECT_EQ(lower_case("Model.SAFETENSORS \u00c4@[`{"), "model.safetensors \u00c4@[`{");
}

TEST(Text, JoinPutsTheSeparatorBetween) {
  std::vector<std::string> parts{"a", "b", "c"};
  EXPECT_EQ(join(parts, ", "), "a, b, c");
  EXPECT_EQ(join({}, ", "), "");
}

TEST(Text, BytesCountsAndDurationsReadWell) {
  EXPECT_EQ(human_bytes(17), "17 B");
  EXPECT_EQ(human_bytes(312 * 1048576.0), "312 MiB");
  EXPECT_EQ(human_bytes(1.5 * 1073741824.0), "1.5 GiB");
  EXPECT_EQ(human_count(0), "0");
  EXPECT_EQ(human_count(999), "999");
  EXPECT_EQ(human_count(1234567), "1,234,567");
  EXPECT_EQ(human_count(-1234), "-1,234");
  EXPECT_EQ(human_duration(42), "42 s");
  EXPECT_EQ(human_duration(59.6), "1 min 00 s");
  EXPECT_EQ(human_duration(185), "3 min 05 s");
  EXPECT_EQ(human_duration(7620), "2 h 07 min");
  EXPECT_EQ(human_duration(INFINITY), "?");
}

TEST(Text, LengthsAreTokensOrKilotokens) {
  EXPECT_EQ(parse_length("4096", "--length"), 4096);
  EXPECT_EQ(parse_length("4k", "--length"), 4096);
  EXPECT_THAT(parse_lengths("4K,100", "--lengths"), ElementsAre(4096, 100));
}

TEST(Text, NumbersAreAllOfTheirText) {
  EXPECT_EQ(parse_number<int>("-12", "-n"), -12);
  EXPECT_EQ(parse_number<uint64_t>("18446744073709551615", "-n"), 18446744073709551615u);
  EXPECT_EQ(parse_number<double>("1e-3", "-x"), 1e-3);
  auto usage_error = [](const std::function<void()>& parse) {
    return error_of(parse, ExitCode::kUsage);
  };
  for (const char* text : {"", "3x", " 3", "1e3", "0.5", "nan"}) {
    EXPECT_EQ(usage_error([&] { parse_number<int64_t>(text, "--threads"); }),
              fmt::format("--threads: '{}' is not a whole number", text));
  }
  for (const char* text : {"", "0,7", "0.7x", "inf", "nan", "--"}) {
    EXPECT_EQ(usage_error([&] { parse_number<double>(text, "--temperature"); }),
              fmt::format("--temperature: '{}' is not a number such as 0.5", text));
  }
  EXPECT_THAT(usage_error([] { parse_number<uint64_t>("-1", "--seed"); }),
              HasSubstr("is not a whole number from 0"));
  EXPECT_THAT(usage_error([] { parse_number<int>("99999999999", "--threads"); }),
              HasSubstr("out of range, expected a whole number that 32 bits hold"));
}

TEST(Text, ABadLengthNamesTheOption) {
  for (const char* text : {"", "0", "-5", "4G", "4Kx", "x", "99999999999999999999", "4096,"}) {
    EXPECT_THAT(error_of([&] { parse_lengths(text, "--lengths"); }, ExitCode::kUsage),
                StartsWith("--lengths"))
        << text;
  }
}

TEST(Text, BytesAreReadWithTheirUnit) {
  EXPECT_EQ(parse_bytes("700", ""), 700);
  EXPECT_EQ(parse_bytes("1B", ""), 1);
  EXPECT_EQ(parse_bytes("2KB", ""), 2'000);
  EXPECT_EQ(parse_bytes("3MB", ""), 3'000'000);
  EXPECT_EQ(parse_bytes("5GB", ""), 5'000'000'000);
  EXPECT_EQ(parse_bytes("1.5KiB", ""), 1536);
  EXPECT_EQ(parse_bytes("2MiB", ""), 2'097'152);
  EXPECT_EQ(parse_bytes("80GiB", ""), 85'899'345'920);
  for (const char* wrong :
       {"", "GB", "5XB", "5gb", "5 GB", "-1GB", "0", "0.5", "nan", "inf", "1e300GB"}) {
    EXPECT_THAT(error_of([&] { parse_bytes(wrong, "--available"); }, ExitCode::kUsage),
                StartsWith("--available: '" + std::string(wrong) + "' is no size"));
  }
}

TEST(Text, AFileThatCannotBeReadNamesItselfAndTheReason) {
  EXPECT_EQ(error_of([] { read_file("/nowhere/at/all", ExitCode::kModel); }, ExitCode::kModel),
            "/nowhere/at/all: cannot open: No such file or directory");
  EXPECT_THROW(read_file("/", ExitCode::kModel), Error);
}

TEST(Text, ADeviceOrAPipeIsNoFile) {
  TemporaryFolder folder;
  ASSERT_EQ(mkfifo(folder.path("pipe").c_str(), 0600), 0);
  EXPECT_THROW(read_file(folder.path("pipe"), ExitCode::kModel), Error);
  EXPECT_THROW(read_file("/dev/zero", ExitCode::kModel), Error);
}

}  // namespace
}  // namespace longspan
