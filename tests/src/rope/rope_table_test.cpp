#include "src/rope/rope_table.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace longspan {
namespace {

using Effect = RopeTableRow::Effect;

constexpr RopeGeometry kLlama2{128, 10000.0, 4096};

RopeTable table_of(const Json& json, int64_t length) {
  Diagnostics diagnostics;
  auto scaling = read_rope_scaling(Fields(json, diagnostics));
  diagnostics.throw_if_any(ExitCode::kFailure);
  return rope_table(*scaling, kLlama2, length);
}

TEST(RopeTable, UnscaledKeepsAll) {
  RopeTable table = table_of({{"rope_type", "default"}}, 4096);
  EXPECT_EQ(table.count(Effect::kKept), 64);
  EXPECT_EQ(table.unseen_angles(), 0);
  EXPECT_NEAR(table.rows.front().wavelength, 2 * std::numbers::pi, 1e-12);
  EXPECT_NEAR(table.rows.front().turns, 4096 / (2 * std::numbers::pi), 1e-9);
}

// A pair turns once in the original length up to the wavelength 4096: 2 pi 10000^(i/64) < 4096 for
// i <= 45, so 18 pairs turn less and meet unseen angles in any longer text.
TEST(RopeTable, LongerTextsTakeSlowPairsToUnseenAngles) {
  RopeTable table = table_of({{"rope_type", "default"}}, 8192);
  EXPECT_EQ(table.unseen_angles(), 18);
  EXPECT_FALSE(table.rows[45].unseen_angles());
  EXPECT_TRUE(table.rows[46].unseen_angles());
}

TEST(RopeTable, LinearInterpolatesAllAndShowsNoUnseenAngle) {
  RopeTable table = table_of({{"rope_type", "linear"}, {"factor", 4}}, 16384);
  EXPECT_EQ(table.count(Effect::kInterpolated), 64);
  EXPECT_EQ(table.unseen_angles(), 0);
  EXPECT_NEAR(table.rows[10].divisor(), 4, 1e-9);
  EXPECT_NEAR(table.rows[10].turns, table.rows[10].turns_before, 1e-6);
}

// The ends of the ramp: see YarnRope.KeepsTheFirstPairsAndInterpolatesTheLast.
TEST(RopeTable, YarnKeepsBlendsAndInterpolates) {
  RopeTable table = table_of({{"rope_type", "yarn"}, {"factor", 16}}, 65536);
  EXPECT_EQ(table.count(Effect::kKept), 21);
  EXPECT_EQ(table.count(Effect::kBlended), 25);
  EXPECT_EQ(table.count(Effect::kInterpolated), 18);
  EXPECT_NEAR(table.attention_factor, 1.27726, 1e-5);
}

// The known weakness of fixed NTK scaling: all but the last pair go beyond their angles.
TEST(RopeTable, NtkInterpolatesTheLastPairAlone) {
  RopeTable table = table_of({{"rope_type", "ntk"}, {"factor", 4}}, 16384);
  EXPECT_EQ(table.rows.front().effect, Effect::kKept);
  EXPECT_EQ(table.count(Effect::kInterpolated), 1);
  EXPECT_EQ(table.unseen_angles(), 17);
}

TEST(RopeTable, DynamicDependsOnTheLength) {
  Json dynamic{{"rope_type", "dynamic"}, {"factor", 2}};
  EXPECT_EQ(table_of(dynamic, 4096).count(Effect::kKept), 64);
  EXPECT_EQ(table_of(dynamic, 8192).count(Effect::kKept), 1);
}

}  // namespace
}  // namespace longspan
