#include "trainer/eval/arms/rolling_cache_attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "src/attention/full.h"
#include "tests/support/float32_bound.h"
#include "tests/support/masked_attention.h"
#include "tests/trainer/eval/eval_fixtures.h"

namespace longspan {
namespace {

constexpr int64_t kRolledTokens = 70;

RollingCacheAttention rolling(int64_t window, int64_t sinks, const char* positions = "cache") {
  RollingCacheAttention pattern;
  give_keys(pattern, {{"window", window}, {"sinks", sinks}, {"positions", positions}});
  return pattern;
}

class RollingCacheAttentionTest : public ::testing::Test {
 protected:
  static Heads six_heads() {
    at::manual_seed(3);
    return {at::randn({2, 6, kRolledTokens, 16}), at::randn({2, 3, kRolledTokens, 16}),
            at::randn({2, 3, kRolledTokens, 16})};
  }
  static Rotary rotary_at(const at::Tensor& positions) {
    const RopeGeometry geometry{.head_dim = 16};
    return {make_rope_scaling("default")->frequencies(geometry, kRolledTokens), positions,
            at::kFloat};
  }
  static Heads part_of(const Heads& heads, int64_t first, int64_t tokens) {
    const auto part = [&](const at::Tensor& x) { return x.narrow(2, first, tokens); };
    return {part(heads.q), part(heads.k), part(heads.v)};
  }
  /// In passes of so many tokens each, and single tokens after them.
  static at::Tensor attended(const AttentionPattern& pattern, const Heads& heads,
                             std::vector<int64_t> passes = {}, int64_t own_window = 0) {
    const auto state = pattern.make_state(0);
    std::vector<at::Tensor> outputs;
    for (int64_t first = 0; first < kRolledTokens;) {
      const size_t pass = outputs.size();
      const int64_t tokens = passes.empty()         ? kRolledTokens
                             : pass < passes.size() ? passes[pass]
                                                    : 1;
      const Rotary turned = rotary_at(at::arange(first, first + tokens, at::kLong).unsqueeze(0));
      outputs.push_back(pattern.attend(part_of(heads, first, tokens),
                                       {.rotary = turned,
                                        .document_ids = {},
                                        .state = passes.empty() ? nullptr : state.get(),
                                        .sliding_window = own_window,
                                        .first_position = first}));
      state->commit();
      first += tokens;
    }
    return at::cat(outputs, 2);
  }
  /// Query by query, over the keys that stand before it in StreamingLLM's cache: each is rotated by
  /// its place there, or by that in the text.
  static at::Tensor by_definition(const Heads& heads, int64_t window, int64_t sinks,
                                  bool in_cache) {
    std::vector<at::Tensor> outputs;
    for (int64_t i = 0; i < kRolledTokens; ++i) {
      std::vector<int64_t> seen;
      for (int64_t j = 0; j <= i; ++j) {
        if (j < sinks || j > i - window) seen.push_back(j);
      }
      const auto count = std::ssize(seen);
      const at::Tensor index = at::tensor(seen, at::kLong);
      const at::Tensor places = in_cache ? at::arange(count, at::kLong) : index;
      const at::Tensor q = rotary_at(places.narrow(0, count - 1, 1).unsqueeze(0))
                               .rotate(heads.q.narrow(2, i, 1).contiguous());
      const at::Tensor k = rotary_at(places.unsqueeze(0)).rotate(heads.k.index_select(2, index));
      outputs.push_back(masked_attention(q, k, heads.v.index_select(2, index),
                                         at::ones({1, 1, 1, count}, at::kBool)));
    }
    return at::cat(outputs, 2);
  }
  static void expect_near(const at::Tensor& found, const at::Tensor& expected) {
    EXPECT_LE(largest(found - expected), float32_bound(expected, 4 * kRolledTokens));
  }

  at::NoGradGuard no_gradients_;
};

TEST_F(RollingCacheAttentionTest, IsThatOfStreamingLlm) {
  const Heads heads = six_heads();
  for (auto [window, sinks] : {std::pair{10, 3}, {10, 0}, {1, 4}, {1, 0}, {24, 1}}) {
    for (const bool in_cache : {true, false}) {
      SCOPED_TRACE(fmt::format("window {}, sinks {}, in cache {}", window, sinks, in_cache));
      const auto pattern = rolling(window, sinks, in_cache ? "cache" : "text");
      const at::Tensor expected = by_definition(heads, window, sinks, in_cache);
      expect_near(attended(pattern, heads), expected);
      for (const auto& passes : {std::vector<int64_t>{45}, {5, 6, 30}, {13, 1, 20}, {1}}) {
        expect_near(attended(pattern, heads, passes), expected);
      }
    }
  }
}

/// A query at token 40 meets its sinks at the distance of the cache, which is shorter.
TEST_F(RollingCacheAttentionTest, PlacesAreThoseOfTheTextUntilTheCacheIsFull) {
  const Heads heads = six_heads();
  const at::Tensor cache = attended(rolling(10, 3), heads);
  const at::Tensor text = attended(rolling(10, 3, "text"), heads);
  expect_near(cache.narrow(2, 0, 13), text.narrow(2, 0, 13));
  EXPECT_GT(largest(cache.select(2, 40) - text.select(2, 40)), 1e-2);
  expect_near(attended(rolling(kRolledTokens, 3), heads), attended(FullAttention(), heads));
}

/// Its sinks are out of sight there.
TEST_F(RollingCacheAttentionTest, ALayersOwnWindowHoldsToo) {
  const Heads heads = six_heads();
  const at::Tensor expected = by_definition(heads, 6, 0, true);
  for (const auto& passes : {std::vector<int64_t>{}, {45}, {1}}) {
    expect_near(attended(rolling(10, 3), heads, passes, /*own_window=*/6), expected);
  }
}

TEST_F(RollingCacheAttentionTest, SaysHowFarPositionsGoAndWhatIsKept) {
  EXPECT_EQ(rolling(10, 3).rope_length(12), 12);
  EXPECT_EQ(rolling(10, 3).rope_length(1000), 13);
  EXPECT_EQ(rolling(10, 3, "text").rope_length(1000), 1000);
  const KeyValueForm form{.heads = 3, .head_dim = 16, .bits = 32};
  EXPECT_EQ(rolling(10, 3).kept_bytes(0, 11, form), form.bytes(11));
  EXPECT_EQ(rolling(10, 3, "text").kept_bytes(0, 1000, form), form.bytes(12));
}

}  // namespace
}  // namespace longspan
