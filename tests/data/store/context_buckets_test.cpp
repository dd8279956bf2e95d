#include "data/store/context_buckets.h"

#include <gmock/gmock.h>

namespace longspan {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(ContextBucket, IsTheWholePartOfTheLogarithm) {
  EXPECT_EQ(context_bucket(0), 0);
  EXPECT_EQ(context_bucket(1), 0);
  EXPECT_EQ(context_bucket(2), 1);
  EXPECT_EQ(context_bucket(3), 1);
  EXPECT_EQ(context_bucket(4), 2);
  EXPECT_EQ(context_bucket(16383), 13);
  EXPECT_EQ(context_bucket(16384), 14);
}

TEST(PlacesByContext, CountEachPieceFromItsStart) {
  // 10 places, before which stand 0 1 | 2 3 | 4 5 6 7 | 8 9; 3 places: 0 1 | 2.
  const std::vector<PackedSequence> rows{{{{0, 11}, {50, 4}}}, {{{100, 4}}}};
  EXPECT_THAT(places_by_context(rows), ElementsAre(6, 4, 4, 2));
  EXPECT_THAT(places_by_context({}), IsEmpty());
}

}  // namespace
}  // namespace longspan
