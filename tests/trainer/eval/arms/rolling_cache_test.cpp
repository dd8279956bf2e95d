#include "trainer/eval/arms/rolling_cache.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <gmock/gmock.h>

#include <stdexcept>

namespace longspan {
namespace {

using ::testing::ElementsAre;

/// Keys that say which token they are of: [1, 1, tokens, 1].
at::Tensor numbered(int64_t first, int64_t tokens) {
  return at::arange(first, first + tokens, at::kFloat).view({1, 1, tokens, 1});
}

/// The tokens whose keys a pass over the next `tokens` sees; values are of the same.
std::vector<float> seen(LayerState& cache, int64_t tokens) {
  const at::Tensor next = numbered(cache.length(), tokens);
  const KeysAndValues all = cache.read(cache.length(), next, next + 0.5);
  const at::Tensor keys = all.k.flatten().contiguous();
  EXPECT_TRUE(at::equal(all.v, all.k + 0.5));
  const auto* first = keys.const_data_ptr<float>();
  return {first, first + keys.numel()};
}

class RollingCacheTest : public ::testing::Test {
 protected:
  at::NoGradGuard no_gradients_;
  RollingCache cache_{2, 4};  // drops what is beyond 6 when there are more than 7
};

TEST_F(RollingCacheTest, KeepsTheFirstAndTheLast) {
  EXPECT_THAT(seen(cache_, 3), ElementsAre(0, 1, 2));
  cache_.commit();
  EXPECT_THAT(seen(cache_, 9), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11));
  cache_.commit();
  EXPECT_EQ(cache_.length(), 12);
  EXPECT_EQ(cache_.dropped(), 6);
  EXPECT_THAT(seen(cache_, 1), ElementsAre(0, 1, 8, 9, 10, 11, 12));
}

TEST_F(RollingCacheTest, DropsTokensTogether) {
  for (int64_t token = 0; token < 7; ++token) {
    seen(cache_, 1);
    cache_.commit();
    EXPECT_EQ(cache_.dropped(), 0);
  }
  EXPECT_THAT(seen(cache_, 1), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
  cache_.commit();
  EXPECT_EQ(cache_.dropped(), 2);
  EXPECT_THAT(seen(cache_, 1), ElementsAre(0, 1, 4, 5, 6, 7, 8));
}

TEST_F(RollingCacheTest, NeedsNoSinksAndNoOtherTokens) {
  RollingCache recent(0, 2), sinks(2, 0), none(0, 0);
  for (RollingCache* cache : {&recent, &sinks, &none}) {
    seen(*cache, 5);
    cache->commit();
  }
  EXPECT_THAT(seen(recent, 1), ElementsAre(3, 4, 5));
  EXPECT_THAT(seen(sinks, 1), ElementsAre(0, 1, 5));
  EXPECT_THAT(seen(none, 1), ElementsAre(5));
}

TEST_F(RollingCacheTest, ForksGoTheirOwnWays) {
  seen(cache_, 9);
  cache_.commit();
  const auto fork = cache_.fork(), other = cache_.fork();
  EXPECT_THAT(seen(*fork, 3), ElementsAre(0, 1, 5, 6, 7, 8, 9, 10, 11));
  fork->commit();
  EXPECT_EQ(fork->length(), 12);
  EXPECT_EQ(cache_.length(), 9);
  EXPECT_THAT(seen(*other, 1), ElementsAre(0, 1, 5, 6, 7, 8, 9));
  EXPECT_THAT(seen(*fork, 1), ElementsAre(0, 1, 8, 9, 10, 11, 12));
}

/// What it would see is gone.
TEST_F(RollingCacheTest, ReadsNoPassAgain) {
  seen(cache_, 9);
  cache_.commit();
  EXPECT_THROW(cache_.read(4, numbered(4, 1), numbered(4, 1)), std::logic_error);
}

}  // namespace
}  // namespace longspan
