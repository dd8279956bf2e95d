#include "trainer/eval/tasks/spread.h"

#include <gmock/gmock.h>

namespace longspan {
namespace {

using ::testing::ElementsAre;

TEST(Spread, IsEvenFromTheFirstOn) {
  EXPECT_THAT(spread_places(10, 0.3), ElementsAre(0, 3, 6));
  EXPECT_THAT(spread_places(5, 0.5), ElementsAre(0, 1, 3));
  EXPECT_THAT(spread_places(4, 1), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(spread_places(4, 7), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(spread_places(4, 0), ElementsAre(0));
  EXPECT_THAT(spread_places(0, 1), ElementsAre());
}

TEST(Spread, TakesPartsOnlyWhereThingsAreTooFew) {
  EXPECT_THAT(spread_parts(4, 8, 0.25), ElementsAre(0, 1, 2, 3));  // two of eight are a quarter
  EXPECT_THAT(spread_parts(4, 1, 0.25), ElementsAre(0));
  EXPECT_THAT(spread_parts(8, 2, 0.25), ElementsAre(0, 2, 4, 6));  // one of two, and half of it
  EXPECT_THAT(spread_parts(3, 1, 1), ElementsAre(0, 1, 2));
}

}  // namespace
}  // namespace longspan
