#include "trainer/eval/triangle.h"

#include <gmock/gmock.h>

#include "tests/trainer/eval/standing_fixtures.h"

namespace longspan {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

TEST(Triangle, DrawsALengthEachAndTheCosts) {
  const TaskStandings task = standings_of(three_arms());
  const auto figures = triangle_figures(task);
  ASSERT_EQ(figures.size(), 1u);
  EXPECT_THAT(figures[0].svg, HasSubstr("4K tokens"));
  EXPECT_THAT(figures[0].svg, HasSubstr("8K tokens"));
  const auto tables = cost_tables({task});
  EXPECT_EQ(tables[0].title, "Time to the first token");
  EXPECT_THAT(tables[0].rows[0], ElementsAre("full", "8 s", "32 s", "length^2.00"));
  EXPECT_THAT(tables[0].rows[1], ElementsAre("retrieval", "2 s", "2 s", "length^0.00"));
  for (const auto& table : tables) EXPECT_THAT(table.title, Not(HasSubstr("Generated")));
}

TEST(Triangle, DrawsNothingWithoutCosts) {
  EvalResult result = three_arms();
  result.provenance.erase("arms");
  const TaskStandings task = standings_of(result);
  EXPECT_TRUE(triangle_figures(task).empty());
  EXPECT_TRUE(cost_tables({task}).empty());
  EXPECT_TRUE(cost_figures({task}).empty());
}

}  // namespace
}  // namespace longspan
