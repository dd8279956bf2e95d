#include "trainer/eval/standing.h"

#include <gmock/gmock.h>

#include <cmath>

#include "tests/trainer/eval/standing_fixtures.h"
#include "trainer/eval/loss_row.h"
#include "trainer/eval/statistics.h"

namespace longspan {
namespace {

using testing::ElementsAre;

TEST(Standings, PoolDepthsByTheirItems) {
  EvalResult result = three_arms();
  result.tasks[0].rows = {passkey_row("full", 4096, 0, 20), passkey_row("full", 4096, 1, 10)};
  const TaskStandings task = standings_of(result);
  ASSERT_EQ(task.standings.size(), 1u);
  const Standing& standing = task.standings[0];
  EXPECT_DOUBLE_EQ(standing.value, 30.0 / 40);
  // Wilson, 30 of 40: (30 + 1.92) / (40 + 3.84) -+ ..., by scipy 1.14's proportion interval.
  EXPECT_NEAR(standing.interval->low, 0.598, 1e-3);
  EXPECT_NEAR(standing.interval->high, 0.858, 1e-3);
}

TEST(Standings, HaveTheCostOfTheirArmAndLength) {
  const TaskStandings task = standings_of(three_arms());
  for (const Standing& standing : task.at(8192)) {
    ASSERT_TRUE(standing.cost) << standing.label;
    const double expected = standing.arm == "full" ? 32 : standing.arm == "retrieval" ? 2 : 0.1;
    EXPECT_DOUBLE_EQ(standing.cost->time_to_first_token_seconds, expected) << standing.label;
  }
  EvalResult without = three_arms();
  without.provenance.erase("arms");
  for (const Standing& standing : standings_of(without).standings) EXPECT_FALSE(standing.cost);
}

/// What a text of 8K costs is not what its first 4K do: an arm may read a text of 4K otherwise.
TEST(Standings, OfPositionsTheLastHaveTheCostOfTheText) {
  EvalResult result = three_arms();
  TaskResult positions{.task = "position_loss", .protocol = {{"length", 8192}}};
  for (const int64_t end : {4096, 8192}) {
    Json row = loss_row(end, 2.0, {1.5, 2.5}, {.nll_sum = 2, .tokens = 1, .bytes = 4}).write();
    row["arm"] = "full";
    row["begin"] = end / 2;
    positions.rows.push_back(std::move(row));
  }
  result.tasks = {positions};
  const TaskStandings task = standings_of(result);
  EXPECT_TRUE(task.by_position);
  EXPECT_FALSE(task.at(4096).at(0).cost);
  EXPECT_EQ(task.at(8192).at(0).cost->time_to_first_token_seconds, 32);
  EXPECT_FALSE(standings_of(three_arms()).by_position);
}

TEST(Standings, ParetoFrontLeavesOutWhatAnotherBeatsForLess) {
  TaskStandings task{.task = "passkey"};
  const auto standing = [](const char* label, double value, double seconds) {
    return Standing{.label = label,
                    .length = 1,
                    .value = value,
                    .cost = ArmCost{.time_to_first_token_seconds = seconds}};
  };
  task.standings = {standing("dear", 0.9, 10), standing("beaten", 0.4, 5),
                    standing("cheap", 0.5, 1), standing("worse at the same", 0.3, 1)};
  std::vector<std::string> labels;
  for (const Standing& on : pareto_front(task, task.at(1))) labels.push_back(on.label);
  EXPECT_THAT(labels, ElementsAre("cheap", "dear"));
  task.is_loss = true;
  labels.clear();
  for (const Standing& on : pareto_front(task, task.at(1))) labels.push_back(on.label);
  EXPECT_THAT(labels, ElementsAre("worse at the same"));
}

/// Documents differ more than models do: it is the differences that count.
TEST(Standings, LossesAreToldApartByTheirDifferences) {
  const auto losses = [](std::vector<double> documents) {
    return Standing{
        .value = 2.3, .interval = Interval{1.7, 2.9}, .document_nll = std::move(documents)};
  };
  const Standing a = losses({2.00, 2.30, 2.60});
  EXPECT_TRUE(told_apart(a, losses({2.03, 2.33, 2.632})));
  EXPECT_FALSE(told_apart(a, losses({2.03, 2.33, 2.56})));
  EXPECT_FALSE(told_apart(a, a));
  EXPECT_FALSE(told_apart(a, losses({2.03, 2.33})));  // other documents: by the intervals
  EXPECT_FALSE(told_apart(Standing{.value = 1, .document_nll = {1}},
                          Standing{.value = 9, .document_nll = {9}}));
}

/// 6 and 0 of 20 have intervals that meet; of the same questions it is told.
TEST(Standings, ScoresAreToldApartByTheirQuestions) {
  EvalResult result = three_arms();
  Json some = passkey_row("full", 4096, 0, 6), none = passkey_row("no_context", 4096, 0, 0);
  for (Json* row : {&some, &none}) {
    const Interval interval = wilson_interval((*row)["correct"].get<double>(), 20);
    (*row)["low"] = interval.low;
    (*row)["high"] = interval.high;
  }
  const auto apart = [&] {
    result.tasks[0].rows = {some, none};
    const TaskStandings task = standings_of(result);
    return told_apart(task.standings.at(0), task.standings.at(1));
  };
  EXPECT_FALSE(apart());
  some["scores"] = none["scores"] = std::vector<double>(20, 0.0);
  for (size_t i = 0; i < 6; ++i) some["scores"][i] = 1.0;
  EXPECT_TRUE(apart());
  some["scores"][5] = 0.0;
  EXPECT_FALSE(apart());
}

TEST(Standings, FitTheExponentOfAPower) {
  EXPECT_NEAR(
      *fitted_exponent({{1024, 3.0}, {2048, 3 * std::pow(2, 1.7)}, {8192, 3 * std::pow(8, 1.7)}}),
      1.7, 1e-9);
  EXPECT_FALSE(fitted_exponent({{1024, 3.0}}));
  EXPECT_FALSE(fitted_exponent({{1024, 0.0}, {2048, 1.0}}));
}

}  // namespace
}  // namespace longspan
