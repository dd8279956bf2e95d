#include "src/core/diagnostics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/errors.h"

namespace longspan {
namespace {

using ::testing::ElementsAre;

TEST(Diagnostics, AnErrorStandsWhereItsKeyStands) {
  Diagnostics diagnostics("a.yaml");
  diagnostics.mark("rope.factor", {"a.yaml", 14, 3});
  diagnostics.error("rope.factor", "is 0");
  EXPECT_THAT(diagnostics.errors(), ElementsAre("a.yaml:14:3: rope.factor: is 0"));
}

TEST(Diagnostics, AKeyWithoutAPlaceTakesItsNearestParents) {
  Diagnostics diagnostics("a.yaml");
  diagnostics.mark("stages", {"a.yaml", 5, 1});
  diagnostics.error("stages.0.steps", "is missing");
  diagnostics.error("lora.r", "is missing");
  EXPECT_THAT(diagnostics.errors(),
              ElementsAre("a.yaml:5:1: stages.0.steps: is missing", "a.yaml: lora.r: is missing"));
}

TEST(Diagnostics, AnOverrideStandsOnTheCommandLine) {
  Diagnostics diagnostics("a.yaml");
  diagnostics.mark("lora.r", {"command line"});
  diagnostics.error("lora.r", "is 0");
  EXPECT_THAT(diagnostics.errors(), ElementsAre("command line: lora.r: is 0"));
}

TEST(Diagnostics, AllErrorsAreThrownAsOne) {
  Diagnostics diagnostics;
  EXPECT_NO_THROW(diagnostics.throw_if_any(ExitCode::kRecipe));
  diagnostics.error("a", "one");
  diagnostics.error("", "two");
  EXPECT_EQ(error_of([&] { diagnostics.throw_if_any(ExitCode::kRecipe); }, ExitCode::kRecipe),
            "a: one\ntwo");
}

}  // namespace
}  // namespace longspan
