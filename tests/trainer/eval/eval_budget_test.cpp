#include "trainer/eval/eval_budget.h"

#include <gmock/gmock.h>

#include "src/core/error.h"

namespace longspan {
namespace {

using ::testing::ElementsAre;

TEST(ParseDuration, IsInSeconds) {
  EXPECT_EQ(parse_duration("90s", ""), 90);
  EXPECT_EQ(parse_duration("10m", ""), 600);
  EXPECT_EQ(parse_duration("1.5h", ""), 5400);
  for (const char* wrong : {"", "10", "m", "-1m", "0s", "ten m", "10 d", "infh"}) {
    EXPECT_THROW(parse_duration(wrong, "--budget"), Error) << wrong;
  }
}

TEST(Budget, DropsItemsBeforeLengths) {
  const auto work_of_share = [](int64_t longest, double share) {
    const auto items = static_cast<size_t>(8 * share);
    std::vector<EvalWork> work{{"a", "full", 100, std::vector<double>(items, 100)}};
    if (longest == 200) work.push_back({"a", "full", 200, std::vector<double>(items, 400)});
    return work;
  };
  const auto seconds_of = [](const EvalWork& work) { return work.flops() / 100; };
  const auto fit = [&](double seconds) {
    return fit_budget({100, 200}, work_of_share, seconds_of, seconds);
  };
  EXPECT_EQ(fit(40).share, 1);
  EXPECT_DOUBLE_EQ(fit(40).seconds, 40);
  EXPECT_TRUE(fit(40).dropped.empty());
  EXPECT_EQ(fit(39).share, 0.5);
  EXPECT_THAT(fit(39).dropped, ElementsAre("8 of 16 items of a"));
  EXPECT_EQ(fit(10).share, 0.25);
  EXPECT_THAT(fit(9).lengths, ElementsAre(100));
  EXPECT_THAT(fit(9).dropped, ElementsAre("length 200"));
  EXPECT_DOUBLE_EQ(fit(9).seconds, 8);
  EXPECT_THAT(fit(1).dropped, ElementsAre("length 200", "6 of 8 items of a"));
  EXPECT_DOUBLE_EQ(fit(1).seconds, 2);
}

}  // namespace
}  // namespace longspan
