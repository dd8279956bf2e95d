#include "recipes/override.h"

#include <gmock/gmock.h>

namespace longspan {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const Json kRecipe = {{"lora", {{"r", 8}}}, {"stages", {{{"steps", 1}}, {{"steps", 2}}}}};

Json applied(const std::vector<std::string>& overrides) {
  Json recipe = kRecipe;
  Diagnostics diagnostics("a.yaml");
  apply_overrides(overrides, recipe, diagnostics);
  EXPECT_THAT(diagnostics.errors(), IsEmpty());
  return recipe;
}

std::vector<std::string> errors_of(const std::string& override) {
  Json recipe = kRecipe;
  Diagnostics diagnostics("a.yaml");
  apply_overrides({override}, recipe, diagnostics);
  return diagnostics.errors();
}

TEST(Override, ReplacesAValue) { EXPECT_EQ(applied({"lora.r=16"})["lora"]["r"], 16); }

TEST(Override, ReadsTheValueAsYaml) {
  EXPECT_EQ(applied({"a.b=1e-4"})["a"]["b"], 1e-4);
  EXPECT_EQ(applied({"a.b='12'"})["a"]["b"], "12");
  EXPECT_EQ(applied({"a.b=[x, y]"})["a"]["b"], Json({"x", "y"}));
  EXPECT_EQ(applied({"a.b="})["a"]["b"], nullptr);
  EXPECT_EQ(applied({"a.b=c=d"})["a"]["b"], "c=d");
}

TEST(Override, AKeyThatIsNotUtf8IsAnError) {
  EXPECT_THAT(errors_of("a.caf\xE9=1"), ElementsAre(HasSubstr("expected key.path=value")));
}

TEST(Override, ReachesEntriesOfLists) {
  EXPECT_EQ(applied({"stages.1.steps=5"})["stages"], Json({{{"steps", 1}}, {{"steps", 5}}}));
}

TEST(Override, TheLastOneWins) { EXPECT_EQ(applied({"lora.r=1", "lora.r=2"})["lora"]["r"], 2); }

TEST(Override, StartsFromAnEmptyRecipe) {
  Json recipe;
  Diagnostics diagnostics("a.yaml");
  apply_overrides({"model.path=x"}, recipe, diagnostics);
  EXPECT_EQ(recipe, Json({{"model", {{"path", "x"}}}}));
}

TEST(Override, BeyondAListIsAnError) {
  EXPECT_THAT(errors_of("stages.2.steps=5"),
              ElementsAre(HasSubstr("command line: stages.2.steps: '2' is no entry of 'stages'")));
  EXPECT_THAT(errors_of("stages.x.steps=5"), ElementsAre(HasSubstr("'x' is no entry")));
  EXPECT_THAT(errors_of("stages.-1.steps=5"), ElementsAre(HasSubstr("'-1' is no entry")));
}

TEST(Override, ThroughAScalarIsAnError) {
  EXPECT_THAT(errors_of("lora.r.x=5"), ElementsAre("command line: lora.r.x: 'lora.r' is no map"));
}

TEST(Override, WithoutKeyOrEqualsSignIsAnError) {
  for (const char* bad : {"lora.r", "=5", "lora..r=5", ".lora=5", ""}) {
    EXPECT_THAT(errors_of(bad), ElementsAre(HasSubstr("expected key.path=value"))) << bad;
  }
}

TEST(Override, WithBrokenYamlIsAnError) {
  EXPECT_THAT(errors_of("lora.r=[1"), ElementsAre(HasSubstr("command line: lora.r: not valid")));
}

TEST(Override, MarksItsValueAsFromTheCommandLine) {
  Json recipe = kRecipe;
  Diagnostics diagnostics("a.yaml");
  diagnostics.mark("lora.r", {"a.yaml", 2, 3});
  diagnostics.mark("rope.factor", {"a.yaml", 4, 3});
  apply_overrides({"lora.r=16", "rope={factor: 2}"}, recipe, diagnostics);
  diagnostics.error("lora.r", "x");
  diagnostics.error("rope.factor", "y");
  EXPECT_THAT(diagnostics.errors(),
              ElementsAre("command line: lora.r: x", "command line: rope.factor: y"));
}

}  // namespace
}  // namespace longspan
