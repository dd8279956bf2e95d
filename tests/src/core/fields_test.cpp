#include "src/core/fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace longspan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Read {
  explicit Read(const std::string& text)
      : map(parse_json(text, "test", ExitCode::kFailure)), fields(map, diagnostics) {}
  const std::vector<std::string>& errors() const { return diagnostics.errors(); }

  Json map;
  Diagnostics diagnostics;
  Fields fields;
};

TEST(Fields, ReadsEveryType) {
  Read r(R"({"b": true, "i": 7, "d": 2.5, "s": "x", "l": [1, 2], "j": {"k": 1}})");
  bool b = false;
  int64_t i = 0;
  double d = 0;
  std::string s;
  std::vector<int64_t> l;
  Json j;
  r.fields.required("b", b);
  r.fields.required("i", i);
  r.fields.required("d", d);
  r.fields.required("s", s);
  r.fields.required("l", l);
  r.fields.required("j", j);
  r.fields.finish();
  EXPECT_THAT(r.errors(), IsEmpty());
  EXPECT_TRUE(b);
  EXPECT_EQ(i, 7);
  EXPECT_EQ(d, 2.5);
  EXPECT_EQ(s, "x");
  EXPECT_THAT(l, ElementsAre(1, 2));
  EXPECT_EQ(j["k"], 1);
}

TEST(Fields, AnAbsentKeyKeepsTheDefaultAndNullCountsAsAbsent) {
  Read r(R"({"there": null})");
  int64_t value = 3;
  r.fields.optional("missing", value);
  r.fields.optional("there", value);
  EXPECT_EQ(value, 3);
  EXPECT_FALSE(r.fields.has("there"));
  r.fields.finish();
  EXPECT_THAT(r.errors(), IsEmpty());
}

TEST(Fields, AWrongTypeIsAnErrorAndKeepsTheDefault) {
  Read r(R"({"a": "seven", "b": 1, "c": 2.5, "d": [1, "x"], "e": "1,2"})");
  int64_t a = 1, c = 1;
  bool b = false;
  std::vector<int64_t> d, e{3};
  r.fields.optional("a", a);
  r.fields.optional("b", b);
  r.fields.optional("c", c);
  r.fields.optional("d", d);
  r.fields.optional("e", e);
  EXPECT_EQ(a, 1);
  EXPECT_EQ(c, 1);
  EXPECT_THAT(e, ElementsAre(3));
  EXPECT_THAT(
      r.errors(),
      ElementsAre("a: expected a whole number, got \"seven\"", "b: expected true or false, got 1",
                  "c: expected a whole number, got 2.5", "d.1: expected a whole number, got \"x\"",
                  "e: expected a list in brackets, got \"1,2\""));
}

TEST(Fields, AWholeNumberMayBeWrittenAsAFloat) {
  Read r(R"({"steps": 1e4})");
  int64_t steps = 0;
  r.fields.optional("steps", steps);
  EXPECT_EQ(steps, 10000);
}

TEST(Fields, ANumberThatDoesNotFitInt64IsAnErrorAndNeverWraps) {
  Read r(R"({"a": 18446744073709551615, "b": 1e300})");
  int64_t a = 5, b = 5;
  r.fields.optional("a", a);
  r.fields.optional("b", b);
  EXPECT_EQ(a, 5);
  EXPECT_EQ(b, 5);
  EXPECT_EQ(r.errors().size(), 2u);
}

TEST(Fields, AMissingRequiredKeyIsAnError) {
  Read r("{}");
  int64_t value = 0;
  r.fields.required("seq_len", value);
  EXPECT_THAT(r.errors(), ElementsAre("seq_len: is missing"));
}

TEST(Fields, AnUnknownKeyNamesTheNearestOrListsTheKnown) {
  Read r(R"({"lora_alfa": 1, "xyzzy": 2})");
  double value = 0;
  r.fields.optional("lora_alpha", value);
  r.fields.finish();
  EXPECT_THAT(r.errors(), ElementsAre("lora_alfa: unknown key; did you mean 'lora_alpha'?",
                                      "xyzzy: unknown key (known: lora_alpha)"));
}

TEST(Fields, AChoiceOutsideTheListNamesTheList) {
  Read r(R"({"dtype": "int3", "mode": "a"})");
  std::string dtype = "float32", mode = "b";
  r.fields.choice("dtype", dtype, {"float32", "bfloat16"});
  r.fields.choice("mode", mode, {"a", "b"});
  EXPECT_EQ(dtype, "float32");
  EXPECT_EQ(mode, "a");
  EXPECT_THAT(r.errors(),
              ElementsAre("dtype: 'int3' is not known; expected one of float32, bfloat16"));
}

TEST(Fields, ANumberOutOfRangeIsAnError) {
  Read r(R"({"r": 0, "lr": -1.5})");
  int64_t rank = 8;
  double lr = 1;
  r.fields.in_range("r", rank, 1, 1024);
  r.fields.in_range("lr", lr, 0, 1);
  EXPECT_THAT(r.errors(), ElementsAre("r: 0 is out of range; expected 1 to 1024",
                                      "lr: -1.5 is out of range; expected 0 to 1"));
}

TEST(Fields, ErrorsOfNestedMapsCarryTheDottedPath) {
  Read r(R"({"stages": [{"steps": 1}, {"steps": "x"}], "lora": {"rr": 1}})");
  for (auto& stage : r.fields.children("stages")) {
    int64_t steps = 0;
    stage.optional("steps", steps);
    stage.finish();
  }
  Fields lora = r.fields.child("lora");
  int64_t rank = 0;
  lora.optional("r", rank);
  lora.finish();
  r.fields.finish();
  EXPECT_THAT(r.errors(), ElementsAre("stages.1.steps: expected a whole number, got \"x\"",
                                      "lora.rr: unknown key; did you mean 'r'?"));
}

TEST(Fields, AnAbsentChildIsAnEmptyMap) {
  Read r("{}");
  int64_t value = 4;
  r.fields.child("lora").optional("r", value);
  EXPECT_EQ(value, 4);
  EXPECT_THAT(r.fields.children("stages"), IsEmpty());
  EXPECT_THAT(r.errors(), IsEmpty());
}

TEST(Fields, AnythingButAMapIsAnError) {
  for (const char* text : {"[1]", "3", "\"x\""}) {
    EXPECT_THAT(Read(text).errors(), ElementsAre(HasSubstr("expected a map, got"))) << text;
  }
  EXPECT_THAT(Read("null").errors(), IsEmpty());
}

TEST(Fields, ALongValueIsShortenedAndBadUtf8DoesNotThrow) {
  Json map{{"a", std::string(1000, 'x')}, {"b", "\xff\xfe"}};
  Diagnostics diagnostics;
  Fields fields(map, diagnostics);
  int64_t value = 0;
  fields.optional("a", value);
  fields.optional("b", value);
  ASSERT_EQ(diagnostics.errors().size(), 2u);
  EXPECT_LT(diagnostics.errors()[0].size(), 80u);
}

}  // namespace
}  // namespace longspan
