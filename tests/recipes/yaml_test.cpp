#include "recipes/yaml.h"

#include <gmock/gmock.h>

#include <cmath>

namespace longspan {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Lt;

Json parse(const std::string& text) {
  Diagnostics diagnostics("a.yaml");
  Json value = read_yaml(text, "a.yaml", diagnostics);
  EXPECT_THAT(diagnostics.errors(), testing::IsEmpty()) << text;
  return value;
}

std::vector<std::string> yaml_errors(const std::string& text) {
  Diagnostics diagnostics("a.yaml");
  read_yaml(text, "a.yaml", diagnostics);
  return diagnostics.errors();
}

TEST(Yaml, TypesPlainScalarsByTheCoreSchemaOfYaml12) {
  EXPECT_EQ(parse("12"), Json(12));
  EXPECT_EQ(parse("-7"), Json(-7));
  EXPECT_EQ(parse("+7"), Json(7));
  EXPECT_EQ(parse("0o17"), Json(15));
  EXPECT_EQ(parse("0x1F"), Json(31));
  EXPECT_EQ(parse("017"), Json(17));
  EXPECT_EQ(parse("1e-4"), Json(1e-4));
  EXPECT_EQ(parse("2.0e-5"), Json(2e-5));
  EXPECT_EQ(parse(".5"), Json(0.5));
  EXPECT_EQ(parse("3."), Json(3.0));
  EXPECT_EQ(parse("true"), Json(true));
  EXPECT_EQ(parse("False"), Json(false));
  EXPECT_EQ(parse("~"), Json(nullptr));
  EXPECT_EQ(parse("null"), Json(nullptr));
  EXPECT_EQ(parse("-.inf"), Json(-std::numeric_limits<double>::infinity()));
  EXPECT_TRUE(std::isnan(parse(".nan").get<double>()));
}

TEST(Yaml, LeavesWhatIsNoCoreScalarAText) {
  for (const char* text :
       {"no", "yes", "on", "12a", "1e", "0x", "1_000", "2026-01-01", "e5", "."}) {
    EXPECT_EQ(parse(text), Json(text));
  }
}

TEST(Yaml, LeavesQuotedScalarsTexts) {
  EXPECT_EQ(parse("'12'"), Json("12"));
  EXPECT_EQ(parse("\"true\""), Json("true"));
  EXPECT_EQ(parse("!!str 12"), Json("12"));
  EXPECT_EQ(parse("a: ''"), Json({{"a", ""}}));
}

TEST(Yaml, IntegersThatDoNotFitAreErrors) {
  EXPECT_EQ(parse("9223372036854775807"), Json(std::numeric_limits<int64_t>::max()));
  EXPECT_THAT(yaml_errors("a: 9223372036854775808"),
              ElementsAre("a.yaml:1:1: a: the number 9223372036854775808 is out of range"));
  EXPECT_THAT(yaml_errors("a: 1e999"), ElementsAre(HasSubstr("out of range")));
}

TEST(Yaml, KeepsTheOrderOfKeys) { EXPECT_EQ(parse("b: 1\na: 2\n").dump(), R"({"b":1,"a":2})"); }

TEST(Yaml, ExpandsAliases) {
  EXPECT_EQ(parse("a: &x {b: 1}\nc: *x\n"), Json({{"a", {{"b", 1}}}, {"c", {{"b", 1}}}}));
}

TEST(Yaml, DuplicateKeysAreErrorsWithTheirPlace) {
  EXPECT_THAT(yaml_errors("a: 1\nb:\n  c: 1\n  c: 2\na: 3\n"),
              ElementsAre("a.yaml:4:3: b.c: this key is here twice",
                          "a.yaml:5:1: a: this key is here twice"));
}

TEST(Yaml, SyntaxErrorsHaveAPlace) {
  EXPECT_THAT(yaml_errors("a: 1\nb: [1, 2\n"), ElementsAre(HasSubstr("a.yaml:")));
  EXPECT_THAT(yaml_errors("a: *nowhere"), ElementsAre(HasSubstr("a.yaml:1:")));
  EXPECT_THAT(yaml_errors("a: 1\n b: 2\n"), ElementsAre(HasSubstr("not valid YAML")));
  EXPECT_THAT(yaml_errors("a:\n\tb: 2\n"), ElementsAre(HasSubstr("by spaces, not by tabs")));
}

TEST(Yaml, ASecondDocumentIsAnError) {
  EXPECT_THAT(yaml_errors("a: 1\n---\nb: 2\n"), ElementsAre(HasSubstr("second YAML document")));
}

// Found by yaml_fuzz: yaml-cpp's LoadAll takes all memory here.
TEST(Yaml, ACommaBehindTheDocumentIsAnError) {
  for (const char* text : {"{},", "[q_proj],", "{c: 0 *a},"}) {
    EXPECT_THAT(yaml_errors(text), ElementsAre(HasSubstr("second YAML document"))) << text;
  }
}

TEST(Yaml, BytesThatAreNotUtf8AreErrors) {
  EXPECT_THAT(yaml_errors("a: caf\xE9"), ElementsAre("a.yaml: byte 6 is NUL or not UTF-8"));
  // By its NULs yaml-cpp would take it for UTF-32, one character beyond Unicode.
  EXPECT_THAT(yaml_errors(std::string("\1\0\0\0\0\0\0\6: xd", 12)),
              ElementsAre(HasSubstr("byte 1 is NUL")));
}

TEST(Yaml, UnknownTagsAreErrors) {
  EXPECT_THAT(yaml_errors("a: !!binary aGk="), ElementsAre(HasSubstr("tag")));
}

TEST(Yaml, AnEmptyDocumentIsNull) {
  EXPECT_EQ(parse(""), Json(nullptr));
  EXPECT_EQ(parse("# only a comment\n"), Json(nullptr));
}

TEST(Yaml, AliasesCannotGrowWithoutEnd) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 9; ++i) {
    std::string before = "*a" + std::to_string(i - 1);
    bomb += fmt::format("a{0}: &a{0} [{1}, {1}, {1}, {1}, {1}, {1}, {1}, {1}, {1}]\n", i, before);
  }
  EXPECT_THAT(yaml_errors(bomb), ElementsAre(HasSubstr("too large or too deep")));
}

TEST(Yaml, AliasesCannotRepeatALongTextOrTagWithoutEnd) {
  std::string aliases;
  for (int i = 0; i < 5000; ++i) aliases += "*a, ";
  for (const std::string& value :
       {std::string(500'000, 'x'), "!<" + std::string(500'000, 't') + "> x"}) {
    EXPECT_THAT(yaml_errors("a: &a " + value + "\nb: [" + aliases + "]\n"),
                Contains(HasSubstr("too large or too deep")));
  }
}

TEST(Yaml, ALongKeyDoesNotMultiplyWithWhatIsBelowIt) {
  std::string list;
  for (int i = 0; i < 9000; ++i) list += "x, ";
  EXPECT_THAT(
      yaml_errors("? " + std::string(500'000, 'k') + "\n: [" + list + "]\n"),
      ElementsAre(testing::AllOf(HasSubstr("too large or too deep"),
                                 testing::ResultOf([](auto& e) { return e.size(); }, Lt(2000)))));
}

TEST(Yaml, AnAliasOfItselfIsAnError) {
  EXPECT_THAT(yaml_errors("a: &a [*a]\n"), ElementsAre(HasSubstr("too large or too deep")));
  EXPECT_THAT(yaml_errors("&a {b: *a}\n"), ElementsAre(HasSubstr("too large or too deep")));
}

TEST(Yaml, AFileOfMegabytesIsNoRecipe) {
  EXPECT_THAT(yaml_errors("# " + std::string(1 << 20, 'x')),
              ElementsAre(HasSubstr("larger than 1 MiB")));
}

TEST(Yaml, DeepNestingIsAnError) {
  EXPECT_THAT(yaml_errors(std::string(200, '[') + std::string(200, ']')),
              ElementsAre(HasSubstr("too large or too deep")));
  EXPECT_THAT(yaml_errors(std::string(100000, '[')), testing::SizeIs(1));
}

TEST(Yaml, MarksTheKeyOfEachValueAndTheEntriesOfLists) {
  Diagnostics diagnostics("a.yaml");
  read_yaml("rope:\n  factor: 2\nstages:\n  - steps: 1\n", "a.yaml", diagnostics);
  diagnostics.error("rope.factor", "x");
  diagnostics.error("stages.0.steps", "y");
  diagnostics.error("stages.0.absent", "z");
  EXPECT_THAT(diagnostics.errors(),
              ElementsAre("a.yaml:2:3: rope.factor: x", "a.yaml:4:5: stages.0.steps: y",
                          "a.yaml:4:5: stages.0.absent: z"));
}

TEST(Yaml, ReadsBackWhatItWrites) {
  Json value = {{"text", "12"},
                {"path", "runs/a/train.h5"},
                {"odd", "a: b # c\n\"d\""},
                {"empty", ""},
                {"none", nullptr},
                {"yes", true},
                {"small", 1e-08},
                {"whole", 16.0},
                {"large", int64_t{1} << 60},
                {"names", {"q_proj", "true", "1e3"}},
                {"no_names", Json::array()},
                {"no_map", Json::object()},
                {"stages", {{{"steps", 1}, {"rope", {{"factor", 2.5}}}}, {{"steps", 2}}}}};
  std::string text = write_yaml(value);
  EXPECT_EQ(parse(text), value) << text;
}

TEST(Yaml, WritesBlocksWithShortLists) {
  EXPECT_EQ(write_yaml({{"lora", {{"r", 8}, {"target_modules", {"q_proj", "v_proj"}}}},
                        {"stages", {{{"steps", 1}, {"seq_len", 2}}}}}),
            "lora:\n  r: 8\n  target_modules: [q_proj, v_proj]\n"
            "stages:\n  - steps: 1\n    seq_len: 2\n");
}

}  // namespace
}  // namespace longspan
