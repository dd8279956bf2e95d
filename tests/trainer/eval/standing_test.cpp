#include "trainer/eval/standing.h"

#include <gmock/gmock.h>

#include <cmath>

#include "trainer/eval/triangle.h"

namespace longspan {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

Json passkey_row(const std::string& arm, int64_t length, double depth, int64_t correct) {
  return {{"arm", arm},
          {"length", length},
          {"depth", depth},
          {"n", 20},
          {"trials", 20},
          {"correct", correct},
          {"score", static_cast<double>(correct) / 20},
          {"answer_nll", 0.5},
          {"answer_token_accuracy", 0.5}};
}

Json arm_cost(const std::string& arm, int64_t length, double seconds) {
  return {{"arm", arm},    {"length", length},         {"time_to_first_token_seconds", seconds},
          {"flops", 1e12}, {"peak_memory_bytes", 1e9}, {"kv_bytes", 1e6}};
}

/// full finds nearly all and takes long, retrieval finds as many, no_context none.
EvalResult three_arms() {
  EvalResult result;
  result.label = "base";
  TaskResult passkey{.task = "passkey", .protocol = {{"seed", 0}}};
  result.provenance["arms"] = Json::array();
  for (int64_t length : {4096, 8192}) {
    for (double depth : {0.0, 1.0}) {
      passkey.rows.push_back(passkey_row("full", length, depth, 19));
      passkey.rows.push_back(passkey_row("retrieval", length, depth, 18));
      passkey.rows.push_back(passkey_row("no_context", length, depth, 0));
    }
    const double long_text = static_cast<double>(length) / 4096;
    result.provenance["arms"].push_back(arm_cost("full", length, 8 * long_text * long_text));
    result.provenance["arms"].push_back(arm_cost("retrieval", length, 2));
    result.provenance["arms"].push_back(arm_cost("no_context", length, 0.1));
  }
  result.tasks.push_back(passkey);
  return result;
}

TaskStandings standings_of(const EvalResult& result) {
  return longspan::standings_of({result}, compare({result})).at(0);
}

TEST(Standings, PoolDepthsByTheirItems) {
  EvalResult result = three_arms();
  result.tasks[0].rows = {passkey_row("full", 4096, 0, 20), passkey_row("full", 4096, 1, 10)};
  const TaskStandings task = standings_of(result);
  ASSERT_EQ(task.standings.size(), 1u);
  const Standing& standing = task.standings[0];
  EXPECT_DOUBLE_EQ(standing.value, 30.0 / 40);
  // Wilson, 30 of 40: (30 + 1.92) / (40 + 3.84) -+ ..., by scipy 1.14's proportion interval.
  EXPECT_NEAR(standing.low, 0.598, 1e-3);
  EXPECT_NEAR(standing.high, 0.858, 1e-3);
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
    return Standing{.value = 2.3, .low = 1.7, .high = 2.9, .document_nll = std::move(documents)};
  };
  const Standing a = losses({2.00, 2.30, 2.60});
  EXPECT_TRUE(told_apart(a, losses({2.03, 2.33, 2.632})));
  EXPECT_FALSE(told_apart(a, losses({2.03, 2.33, 2.56})));
  EXPECT_FALSE(told_apart(a, a));
  EXPECT_FALSE(told_apart(a, losses({2.03, 2.33})));  // other documents: by the intervals
  EXPECT_FALSE(told_apart({.value = 1, .low = 1, .high = 1, .document_nll = {1}},
                          {.value = 9, .low = 9, .high = 9, .document_nll = {9}}));
}

TEST(Standings, FitTheExponentOfAPower) {
  EXPECT_NEAR(
      *fitted_exponent({{1024, 3.0}, {2048, 3 * std::pow(2, 1.7)}, {8192, 3 * std::pow(8, 1.7)}}),
      1.7, 1e-9);
  EXPECT_FALSE(fitted_exponent({{1024, 3.0}}));
  EXPECT_FALSE(fitted_exponent({{1024, 0.0}, {2048, 1.0}}));
}

TEST(Triangle, ConcludesWhatIntervalsAllow) {
  const auto sentences = conclusions(standings_of(three_arms()));
  ASSERT_EQ(sentences.size(), 2u);
  EXPECT_THAT(sentences[1], HasSubstr("8K tokens: full (0.95 ["));
  EXPECT_THAT(sentences[1], HasSubstr("Cannot be told apart from it: retrieval (0.9 ["));
  EXPECT_THAT(sentences[1], HasSubstr("retrieval is the cheapest: 2 s to the first token, "
                                      "6 % of full"));
  EXPECT_THAT(sentences[1], HasSubstr("Behind: no_context (0 ["));
}

TEST(Triangle, SaysNothingOfOneModelAlone) {
  EvalResult result = three_arms();
  result.tasks[0].rows = {passkey_row("full", 4096, 0, 20)};
  EXPECT_TRUE(conclusions(standings_of(result)).empty());
}

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
