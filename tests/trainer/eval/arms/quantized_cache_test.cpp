#include "trainer/eval/arms/quantized_cache.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "tests/support/largest.h"

namespace longspan {
namespace {

at::Tensor random_heads(int64_t tokens) {
  at::manual_seed(tokens);
  return at::randn({1, 3, tokens, 64});
}

TEST(QuantizedCache, GivesTheSameHoweverATextIsCutIntoPasses) {
  const at::Tensor k = random_heads(9), v = random_heads(9) * 2;
  QuantizedCache whole(4), parts(4);
  const auto expected = whole.read(0, k, v);
  whole.commit();
  for (auto [begin, tokens] : {std::pair{0, 5}, {5, 1}, {6, 1}, {7, 2}}) {
    for (const bool is_committed : {false, true}) {  // what was read is read again
      const auto read = parts.read(begin, k.narrow(2, begin, tokens), v.narrow(2, begin, tokens));
      EXPECT_TRUE(at::equal(read.k, expected.k.narrow(2, 0, begin + tokens)));
      EXPECT_TRUE(at::equal(read.v, expected.v.narrow(2, 0, begin + tokens)));
      if (!is_committed) parts.commit();
    }
  }
  EXPECT_EQ(parts.length(), 9);
  EXPECT_EQ(parts.bytes(), 2 * 3 * 9 * 64 / 32 * 18);
  EXPECT_GT(largest(expected.k - k), 0);
}

TEST(QuantizedCache, ForksGoTheirOwnWays) {
  const at::Tensor k = random_heads(4), other = random_heads(2);
  QuantizedCache cache(8);
  cache.read(0, k, k);
  cache.commit();
  auto fork = cache.fork();
  fork->read(4, other, other);
  fork->commit();
  EXPECT_EQ(cache.length(), 4);
  EXPECT_EQ(fork->length(), 6);
  auto sibling = cache.fork();
  const at::Tensor both = sibling->read(4, other * 2, other * 2).k;
  sibling->commit();
  EXPECT_TRUE(at::equal(fork->read(6, other, other).k.narrow(2, 0, 4), both.narrow(2, 0, 4)));
  EXPECT_GT(largest(fork->read(6, other, other).k.narrow(2, 4, 2) - both.narrow(2, 4, 2)), 0.1);
}

}  // namespace
}  // namespace longspan
