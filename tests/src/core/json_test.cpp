#include "src/core/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "src/core/text.h"
#include "tests/support/errors.h"

namespace longspan {
namespace {

using ::testing::HasSubstr;

std::string parse_error(std::string_view text) {
  return error_of([&] { parse_json(text, "config.json", ExitCode::kModel); }, ExitCode::kModel);
}

TEST(Json, AnErrorHasItsPlaceAndNotTheWholeRecord) {
  EXPECT_EQ(parse_error("[1,"),
            "config.json: not valid JSON: parse error at line 1, column 4: syntax error while "
            "parsing value - unexpected end of input; expected '[', '{', or a literal");
  const std::string error = parse_error("[\"" + std::string(70000, 'x'));
  EXPECT_LT(error.size(), 400u) << error;
  EXPECT_THAT(error, HasSubstr("xxx[... 69825 more ...]xxx"));
}

TEST(Json, KeysKeepTheirOrder) {
  EXPECT_EQ(parse_json(R"({"z":1,"a":2})", "test", ExitCode::kModel).dump(), R"({"z":1,"a":2})");
}

TEST(Json, ParsesAsNlohmannDoes) {
  const std::string text =
      R"([{"a":{"b":[1,-2,18446744073709551615,1.5e3]},"":null},[],{},true,"\u00e9\ud83d\ude00"])";
  EXPECT_EQ(parse_json(text, "test", ExitCode::kModel), Json::parse(text));
  EXPECT_EQ(parse_json(" 3 ", "test", ExitCode::kModel), Json(3));
}

TEST(Json, AKeyThatComesAgainTakesTheLaterValue) {
  EXPECT_EQ(parse_json(R"({"a":1,"b":2,"a":{"c":3}})", "test", ExitCode::kModel).dump(),
            R"({"a":{"c":3},"b":2})");
}

// Quadratic parsing takes over a minute here.
TEST(Json, TakesLinearTimeInTheKeysOfAMap) {
  constexpr int kKeys = 300'000;
  std::string text = "{";
  for (int i = 0; i < kKeys; ++i) text += fmt::format("{}\"k{}\":{}", i ? "," : "", i, i);
  Json map = parse_json(text + "}", "test", ExitCode::kModel);
  EXPECT_EQ(map.size(), size_t{kKeys});
  EXPECT_EQ(map.back(), kKeys - 1);
}

TEST(Json, DamagedTextIsAnErrorThatNamesTheFile) {
  for (std::string_view text :
       {"", "{", "{\"a\":}", "\xff\xfe", "{} {}", "nan", "{NaN: 1}", "[-]"}) {
    EXPECT_THAT(parse_error(text), HasSubstr("config.json: not valid JSON")) << text;
  }
  EXPECT_THAT(parse_error(std::string_view("\0\0", 2)), HasSubstr("not valid JSON"));
}

TEST(Json, ReadsTheNumbersThatPythonWrites) {
  const Json read = parse_json(
      R"({"a": NaN, "b": [Infinity,-Infinity], "c": 1e999, "d": -1E+400, "e": "NaN, \"1e999", "f": 7})",
      "test", ExitCode::kModel);
  EXPECT_TRUE(std::isnan(read["a"].get<double>()));
  EXPECT_EQ(read["b"][0].get<double>(), HUGE_VAL);
  EXPECT_EQ(read["b"][1].get<double>(), -HUGE_VAL);
  EXPECT_EQ(read["c"].get<double>(), HUGE_VAL);
  EXPECT_EQ(read["d"].get<double>(), -HUGE_VAL);
  EXPECT_EQ(read["e"], "NaN, \"1e999");
  EXPECT_EQ(read["f"], 7);
  EXPECT_EQ(parse_json("123456789012345678901234567890", "test", ExitCode::kModel).get<double>(),
            123456789012345678901234567890.0);
}

TEST(Json, ShowsLittleOfWhatItCannotRead) {
  const std::string error = parse_error("{\"a\": x" + std::string(70'000, 'y') + "\x1b[2J}");
  EXPECT_THAT(error, testing::StartsWith("config.json: not valid JSON: parse error at line 1"));
  EXPECT_LT(error.size(), 500u);
}

TEST(Json, HostileNestingIsRefusedInsteadOfOverrunningTheStack) {
  EXPECT_THAT(parse_error(std::string(10'000'000, '[')), HasSubstr("nests deeper than 256"));
  EXPECT_EQ(parse_error(std::string(200, '[') + std::string(200, ']')), "no error");
}

TEST(Json, AWrittenFileReadsBack) {
  auto path = std::filesystem::path(testing::TempDir()) / "json_test" / "a.json";
  Json value{{"z", 1}, {"a", {1.5, "x"}}};
  write_json_file(path, value);
  EXPECT_EQ(read_json_file(path, ExitCode::kModel), value);
  EXPECT_EQ(read_file(path, ExitCode::kModel).back(), '\n');
  std::filesystem::remove_all(path.parent_path());
}

TEST(Json, ANameThatIsNotUtf8IsWrittenWithReplacements) {
  auto path = std::filesystem::path(testing::TempDir()) / "json_test_utf8.json";
  write_json_file(path, Json{{"name", "a\xff"}});
  EXPECT_EQ(read_json_file(path, ExitCode::kModel)["name"], "a\xEF\xBF\xBD");
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace longspan
