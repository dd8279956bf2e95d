#include "trainer/eval/conclusions.h"

#include <gmock/gmock.h>

#include "tests/trainer/eval/standing_fixtures.h"
#include "trainer/eval/statistics.h"

namespace longspan {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Conclusions, AreWhatIntervalsAllow) {
  const auto sentences = conclusions(standings_of(three_arms()));
  ASSERT_EQ(sentences.size(), 3u);
  EXPECT_THAT(sentences[1], HasSubstr("8K tokens: full (0.95 ["));
  EXPECT_THAT(sentences[1], HasSubstr("Cannot be told apart from it: retrieval (0.9 ["));
  EXPECT_THAT(sentences[1], HasSubstr("retrieval is the cheapest: 2 s to the first token, "
                                      "6 % of full"));
  // full takes 32 s and is not told apart from retrieval.
  EXPECT_THAT(sentences[1], HasSubstr("By time to the first token the best is no_context from "
                                      "0.1 s, retrieval from 2 s. Behind"));
  EXPECT_THAT(sentences[1], HasSubstr("Behind: no_context (0 ["));
}

/// A loss that rises a little where the text is short and falls where it is long.
TEST(Conclusions, SayThePriceBesideTheGain) {
  TaskStandings task{.task = "perplexity", .is_loss = true};
  const auto add = [&](const char* label, int64_t length, const std::vector<double>& documents) {
    task.standings.push_back(
        {.label = label, .length = length, .value = mean(documents), .document_nll = documents});
  };
  add("base", 4096, {2.0, 2.3, 2.6});
  add("base", 16384, {7.0, 7.1, 7.2});
  add("trained", 4096, {2.03, 2.33, 2.632});
  add("trained", 16384, {2.1, 2.2, 2.4});
  add("other", 4096, {2.1, 2.3, 2.6});
  add("other", 16384, {7.0, 7.1, 7.2});
  add("short", 4096, {2.0, 2.3, 2.6});
  EXPECT_THAT(conclusions(task)[0], HasSubstr("Behind: trained (2.331)."));
  const std::string of_trained = "trained costs 0.0307 and gains 4.87";
  EXPECT_EQ(conclusions(task).back(),
            "Against base at 4K tokens, and at 16K: " + of_trained +
                "; other costs 0.0333 (cannot be told apart) and is level.");
  EXPECT_THAT(conclusions(task, "trained").back(),
              HasSubstr("Against trained at 4K tokens, and at 16K: base gains 0.0307 and costs"));
  EXPECT_THAT(conclusions(task, "short").back(), Not(HasSubstr("Against")));
}

TEST(Conclusions, SpeakOfPositionsWhereLengthsAreTheirEnds) {
  TaskStandings task{.task = "position_loss", .is_loss = true, .by_position = true};
  for (const int64_t end : {64, 4096}) {
    for (const char* label : {"base", "trained"}) {
      task.standings.push_back({.label = label,
                                .length = end,
                                .value = 2,
                                .interval = Interval{1, 3},
                                .document_nll = {1, 3}});
    }
  }
  const auto sentences = conclusions(task);
  EXPECT_THAT(sentences.at(1), testing::StartsWith("Positions up to 4K: base (2 [1, 3])"));
  EXPECT_EQ(sentences.at(2),
            "Against base at positions up to 64, and up to 4K: trained is level and is level.");
}

TEST(Conclusions, SayNothingOfOneModelAlone) {
  EvalResult result = three_arms();
  result.tasks[0].rows = {passkey_row("full", 4096, 0, 20)};
  EXPECT_TRUE(conclusions(standings_of(result)).empty());
}

}  // namespace
}  // namespace longspan
