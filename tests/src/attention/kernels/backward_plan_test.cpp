#include "src/attention/kernels/backward_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace longspan::flash {
namespace {

std::vector<int32_t> groups_of(int64_t queries, int64_t group, int64_t shift) {
  std::vector<int32_t> key_start(queries);
  for (int64_t i = 0; i < queries; ++i) {
    key_start[i] = static_cast<int32_t>(std::max<int64_t>(0, (i + shift) / group * group - shift));
  }
  return key_start;
}

constexpr int64_t kKeyBlock = 768;

Visible seeing(const std::vector<int32_t>& key_start) {
  return {key_start.data(), nullptr, nullptr, nullptr};
}

TEST(BackwardPlan, CutsHeadsOnlyAsFarAsTheThreadsNeed) {
  EXPECT_EQ(parts_per_head(/*heads=*/8, /*threads=*/2), 1);
  EXPECT_EQ(parts_per_head(3, 2), 2);
  EXPECT_EQ(parts_per_head(1, 2), 2);
  EXPECT_EQ(parts_per_head(3, 16), 5);
  EXPECT_EQ(parts_per_head(1, 1), 1);
}

TEST(BackwardPlan, CutsTheKeysIntoPartsOfEqualWork) {
  const Geometry geometry{32768, 32768, 64, 0.125f};
  const std::vector<int32_t> full(32768, 0);
  const std::vector<KeyPart> parts = cut_keys(geometry, {seeing(full), seeing(full)}, kKeyBlock, 4);
  ASSERT_EQ(parts.size(), 4u);
  int64_t next_key = 0;
  for (const KeyPart& part : parts) {
    EXPECT_EQ(part.key_begin, next_key);
    next_key = part.key_end;
    // Pairs under the diagonal, of all L^2 / 2: a quarter each but for the size of a key block.
    const double begin = 1 - part.key_begin / 32768.0, end = 1 - part.key_end / 32768.0;
    EXPECT_NEAR(begin * begin - end * end, 0.25, 0.05);
  }
  EXPECT_EQ(next_key, 32768);
}

TEST(BackwardPlan, GivesAPartOnlyTheRowsThatSeeItsKeys) {
  const Geometry geometry{8000, 8000, 64, 0.125f};
  const std::vector<int32_t> plain = groups_of(8000, 1000, 0);
  const std::vector<int32_t> shifted = groups_of(8000, 1000, 500);
  for (const KeyPart& part : cut_keys(geometry, {seeing(plain), seeing(shifted)}, kKeyBlock, 3)) {
    for (int64_t head = 0; head < 2; ++head) {
      const std::vector<int32_t>& key_start = head == 0 ? plain : shifted;
      const auto sees = [&](int64_t row) {
        return key_start[row] < part.key_end && row >= part.key_begin;
      };
      const GradQuery& rows = part.grad_q[head];
      EXPECT_EQ(rows.row_begin % 2, 0);
      for (int64_t row = 0; row < 8000; ++row) {
        const bool inside = row >= rows.row_begin && row < rows.row_end;
        // The rounding to an even row may add one row.
        EXPECT_EQ(inside, sees(row) || row == rows.row_begin) << row;
      }
    }
  }
}

TEST(BackwardPlan, LeavesFewerPartsThanAskedWhenThereAreFewKeys) {
  const Geometry geometry{100, 100, 64, 0.125f};
  const std::vector<int32_t> full(100, 0);
  const std::vector<KeyPart> parts = cut_keys(geometry, {seeing(full)}, kKeyBlock, 4);
  ASSERT_EQ(parts.size(), 1u);
  EXPECT_EQ(parts[0].key_end, 100);
}

}  // namespace
}  // namespace longspan::flash
