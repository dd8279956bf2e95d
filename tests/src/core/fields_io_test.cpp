#include "src/core/fields_io.h"

#include <gmock/gmock.h>

#include "src/core/fields_reader.h"
#include "src/core/fields_schema.h"
#include "src/core/fields_writer.h"

namespace longspan {
namespace {

using testing::ElementsAre;

struct Inner {
  int64_t count = 2;
};

struct Outer {
  bool flag = false;
  double part = 0.5, rate = 1;
  std::optional<int64_t> length = {};
  std::string path = {}, kind = "a";
  std::vector<std::string> names{"x"};
  Inner inner = {};
  std::vector<Inner> list = {};
  Inner maybe = {};
  bool no_maybe = false;
};

void fields(FieldsIo& io, Inner& inner) { io.whole("count", inner.count, {1, 9}, "how many"); }

void fields(FieldsIo& io, Outer& outer) {
  io.prose("One.");
  io.flag("flag", outer.flag, "a flag");
  io.number("part", outer.part, {0, 1}, "a part");
  io.positive("rate", outer.rate, "a rate");
  io.whole("length", outer.length, {1, 8}, "a length", {.otherwise = "any"});
  io.text("path", outer.path, "a path", {.required = true});
  io.choice("kind", outer.kind, {"a", "b"}, "a kind", {.written = outer.kind != "a"});
  io.texts("names", outer.names, "some names");
  io.map("inner", outer.inner);
  io.maps("list", outer.list, Inner{.count = 5}, "some");
  io.map("maybe", outer.maybe, {.none = &outer.no_maybe});
  io.prose("Two.");
}

struct ReadOuter {
  explicit ReadOuter(const Json& map) {
    Fields given(map, diagnostics);
    FieldsReader reader(given);
    fields(reader, outer);
    given.finish();
  }
  Diagnostics diagnostics;
  Outer outer;
};

TEST(FieldsReader, TakesWhatIsThereAndKeepsTheRest) {
  const ReadOuter read(Json{{"path", "p"},
                            {"part", 0.25},
                            {"length", 4},
                            {"names", {"y", "z"}},
                            {"list", {Json::object(), {{"count", 3}}}}});
  EXPECT_THAT(read.diagnostics.errors(), testing::IsEmpty());
  EXPECT_EQ(read.outer.path, "p");
  EXPECT_EQ(read.outer.part, 0.25);
  EXPECT_EQ(read.outer.length, 4);
  EXPECT_THAT(read.outer.names, ElementsAre("y", "z"));
  EXPECT_EQ(read.outer.inner.count, 2);
  ASSERT_EQ(read.outer.list.size(), 2u);
  EXPECT_EQ(read.outer.list[0].count, 5);
  EXPECT_EQ(read.outer.list[1].count, 3);
}

TEST(FieldsReader, NamesAllThatIsWrong) {
  const ReadOuter read(Json{{"flag", 1},
                            {"part", 2},
                            {"rate", 0},
                            {"length", 9},
                            {"kind", "c"},
                            {"inner", {{"count", 0}, {"cuont", 1}}},
                            {"list", {{{"count", 10}}}}});
  EXPECT_THAT(
      read.diagnostics.errors(),
      ElementsAre("flag: expected true or false, got 1", "part: 2 is out of range; expected 0 to 1",
                  "rate: 0 is out of range; expected more than 0",
                  "length: 9 is out of range; expected 1 to 8", "path: is missing",
                  "kind: 'c' is not known; expected one of a, b",
                  "inner.count: 0 is out of range; expected 1 to 9",
                  "inner.cuont: unknown key; did you mean 'count'?",
                  "list.0.count: 10 is out of range; expected 1 to 9"));
}

TEST(FieldsReader, TakesNoneInPlaceOfAMapThatMayBe) {
  EXPECT_TRUE(ReadOuter(Json{{"path", "p"}, {"maybe", "none"}}).outer.no_maybe);
  const ReadOuter map(Json{{"path", "p"}, {"maybe", {{"count", 3}}}});
  EXPECT_FALSE(map.outer.no_maybe);
  EXPECT_EQ(map.outer.maybe.count, 3);
  EXPECT_THAT(ReadOuter(Json{{"path", "p"}, {"maybe", "nil"}}).diagnostics.errors(),
              ElementsAre("maybe: expected a map or none, got \"nil\""));
  EXPECT_THAT(ReadOuter(Json{{"path", "p"}, {"inner", "none"}}).diagnostics.errors(),
              testing::SizeIs(1));
}

TEST(FieldsReader, ARequiredTextIsNotEmpty) {
  EXPECT_THAT(ReadOuter(Json{{"path", ""}}).diagnostics.errors(), ElementsAre("path: is empty"));
}

TEST(FieldsWriter, WritesWhatIsReadBackAsTheSame) {
  Outer outer{.flag = true, .length = 3, .path = "p", .kind = "b", .list = {{7}, {8}}};
  const Json map = write_fields(outer);
  EXPECT_EQ(map, Json({{"flag", true},
                       {"part", 0.5},
                       {"rate", 1.0},
                       {"length", 3},
                       {"path", "p"},
                       {"kind", "b"},
                       {"names", {"x"}},
                       {"inner", {{"count", 2}}},
                       {"list", {{{"count", 7}}, {{"count", 8}}}},
                       {"maybe", {{"count", 2}}}}));
  EXPECT_EQ(write_fields(ReadOuter(map).outer), map);
  outer.no_maybe = true;
  EXPECT_EQ(write_fields(outer)["maybe"], "none");
}

TEST(FieldsWriter, LeavesOutWhatIsNotWritten) {
  const Json map = write_fields(Outer{});
  EXPECT_FALSE(map.contains("kind"));
  EXPECT_EQ(map["length"], nullptr);
}

TEST(FieldsSchema, HasTypeBoundsDefaultAndMeaningOfEachKey) {
  Outer outer;
  FieldsSchema schema;
  fields(schema, outer);
  const Json json = schema.schema();
  EXPECT_EQ(json["type"], "object");
  EXPECT_EQ(json["additionalProperties"], false);
  EXPECT_EQ(json["description"], "One.\n\nTwo.");
  EXPECT_EQ(json["required"], Json::array({"path"}));
  const Json& keys = json["properties"];
  EXPECT_EQ(keys["flag"],
            Json({{"type", "boolean"}, {"default", false}, {"description", "a flag"}}));
  EXPECT_EQ(keys["part"], Json({{"type", "number"},
                                {"minimum", 0.0},
                                {"maximum", 1.0},
                                {"default", 0.5},
                                {"description", "a part"}}));
  EXPECT_EQ(keys["rate"]["exclusiveMinimum"], 0);
  EXPECT_EQ(keys["length"]["$comment"], "any");
  EXPECT_FALSE(keys["length"].contains("default"));
  EXPECT_EQ(keys["path"], Json({{"type", "string"}, {"minLength", 1}, {"description", "a path"}}));
  EXPECT_EQ(keys["kind"]["enum"], Json({"a", "b"}));
  EXPECT_EQ(keys["names"]["default"], Json::array({"x"}));
  EXPECT_EQ(keys["inner"]["properties"]["count"]["default"], 2);
  EXPECT_EQ(keys["list"]["items"]["properties"]["count"]["default"], 5);
  EXPECT_EQ(keys["maybe"]["oneOf"][0], keys["inner"]);
  EXPECT_EQ(keys["maybe"]["oneOf"][1], Json({{"const", "none"}}));
}

TEST(FieldsSchema, VariantsAreFormsOfOneMap) {
  const FieldVariants variants{.names = {"a", "b"},
                               .read = {},
                               .write = {},
                               .describe =
                                   [](const std::string& name, FieldsSchema& schema) {
                                     std::string kind = name;
                                     schema.choice("kind", kind, {name}, "which");
                                     schema.require_one_of({"kind"});
                                   },
                               .other_form = {{"type", "string"}}};
  FieldsSchema schema;
  schema.variants("map", variants, "a map");
  const Json& forms = schema.schema()["properties"]["map"]["oneOf"];
  ASSERT_EQ(forms.size(), 3u);
  EXPECT_EQ(forms[1]["properties"]["kind"]["enum"], Json::array({"b"}));
  EXPECT_EQ(forms[1]["anyOf"], Json::array({{{"required", {"kind"}}}}));
  EXPECT_EQ(forms[2], Json({{"type", "string"}}));
}

}  // namespace
}  // namespace longspan
