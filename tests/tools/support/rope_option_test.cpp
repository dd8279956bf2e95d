#include "tools/support/rope_option.h"

#include <gmock/gmock.h>

namespace longspan {
namespace {

TEST(RopeOption, NamesTheOptionWhereARecipeHasAKey) {
  EXPECT_EQ(with_on_scaled_option("keep that, or choose on_scaled: replace or on_scaled: compose"),
            "keep that, or choose --on-scaled replace or --on-scaled compose");
  EXPECT_EQ(with_on_scaled_option("factor 0 is out of range"), "factor 0 is out of range");
}

}  // namespace
}  // namespace longspan
