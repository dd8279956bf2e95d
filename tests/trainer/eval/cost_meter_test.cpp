#include "trainer/eval/cost_meter.h"

#include <gtest/gtest.h>

namespace longspan {
namespace {

TEST(CostMeters, ATextCountsAsOneOfTheNextLengthUnlessItIsHalfOfItOrLess) {
  CostMeters costs({4096, 8192});
  costs.of("full", 4081).add_pass(2.0, 4081);
  costs.of("full", 4096).add_pass(4.0, 4096);
  costs.of("full", 2048).add_pass(0.25, 512);
  costs.of("full", 9000).add_pass(6.0, 9000);
  const Json rows = costs.write();
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0]["length"], 4096);
  EXPECT_EQ(rows[0]["time_to_first_token_seconds"], 3.0);
  EXPECT_EQ(rows[1]["length"], 2048);
  EXPECT_EQ(rows[1]["time_to_first_token_seconds"], 0.25);
  EXPECT_EQ(rows[1]["read_tokens_per_second"], 2048.0);
  EXPECT_EQ(rows[2]["length"], 9000);
}

}  // namespace
}  // namespace longspan
