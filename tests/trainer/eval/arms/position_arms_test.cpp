#include "trainer/eval/arms/position_arms.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/softmax.h>
#include <gmock/gmock.h>

#include <cmath>

#include "src/attention/full.h"
#include "tests/support/errors.h"
#include "tests/support/largest.h"
#include "tests/trainer/eval/arms/arm_fixtures.h"
#include "trainer/eval/arms/dual_chunk_attention.h"
#include "trainer/eval/arms/string_attention.h"

namespace longspan {
namespace {

constexpr int64_t kTokens = 70, kHeadDim = 16;

Heads three_heads() {
  at::manual_seed(1);
  const auto heads = [] { return at::randn({1, 3, kTokens, kHeadDim}); };
  return {heads(), heads(), heads()};
}

Rotary rotary_at(const at::Tensor& positions) {
  const RopeGeometry geometry{.head_dim = kHeadDim};
  return {make_rope_scaling("default")->frequencies(geometry, kTokens), positions, at::kFloat};
}
Rotary rotary_of(int64_t first, int64_t tokens) {
  return rotary_at(at::arange(first, first + tokens, at::kLong).unsqueeze(0));
}

at::Tensor attended(const AttentionPattern& pattern, const Heads& heads) {
  const Rotary turned = rotary_of(0, heads.q.size(2));
  return pattern.attend(heads, {.rotary = turned, .document_ids = {}});
}

/// Softmax attention in which query i meets key j at distance distance(i, j), pair by pair.
at::Tensor at_distances(const Heads& heads,
                        const std::function<int64_t(int64_t, int64_t)>& distance) {
  at::Tensor scores = at::full({1, 3, kTokens, kTokens}, -INFINITY);
  for (int64_t i = 0; i < kTokens; ++i) {
    at::Tensor distances = at::arange(i + 1, at::kLong);
    for (int64_t j = 0; j <= i; ++j) distances[j] = distance(i, j);
    // A query at distance d of a key at 0.
    const at::Tensor queries = heads.q.narrow(2, i, 1).expand({1, 3, i + 1, kHeadDim}).contiguous();
    const at::Tensor turned = rotary_at(distances.unsqueeze(0)).rotate(queries);
    scores.select(2, i)
        .narrow(2, 0, i + 1)
        .copy_((turned * heads.k.narrow(2, 0, i + 1)).sum(-1) / std::sqrt(double{kHeadDim}));
  }
  return at::matmul(at::softmax(scores, -1), heads.v);
}

void expect_passes_equal_one(const AttentionPattern& pattern, const Heads& heads) {
  const at::Tensor whole = attended(pattern, heads);
  auto state = pattern.make_state(0);
  for (int64_t first = 0, tokens = 45; first < kTokens; first += tokens, tokens = 25) {
    const Rotary turned = rotary_of(first, tokens);
    const Heads part{heads.q.narrow(2, first, tokens), heads.k.narrow(2, first, tokens),
                     heads.v.narrow(2, first, tokens)};
    const at::Tensor out = pattern.attend(
        part,
        {.rotary = turned, .document_ids = {}, .state = state.get(), .first_position = first});
    state->commit();
    EXPECT_LT(largest(out - whole.narrow(2, first, tokens)), 1e-5);
  }
}

TEST(StringAttention, MovesFarKeysNearer) {
  const at::NoGradGuard no_gradients;
  const Heads heads = three_heads();
  const at::Tensor expected = at_distances(
      heads, [](int64_t i, int64_t j) { return i - j >= 20 ? i - j - 20 + 8 : i - j; });
  const StringAttention pattern(20, 8);
  EXPECT_LT(largest(attended(pattern, heads) - expected), 1e-5);
  expect_passes_equal_one(pattern, heads);
  EXPECT_LT(
      largest(attended(StringAttention(kTokens, 8), heads) - attended(FullAttention(), heads)),
      1e-6);
}

TEST(DualChunkAttention, CountsDistancesByChunks) {
  const at::NoGradGuard no_gradients;
  const Heads heads = three_heads();
  const at::Tensor expected = at_distances(heads, [](int64_t i, int64_t j) {
    const int64_t chunks = i / 16 - j / 16;
    const int64_t query = chunks == 0   ? i % 16
                          : chunks == 1 ? std::min<int64_t>(i % 16 + 16, 20)
                                        : 20;
    return query - j % 16;
  });
  const DualChunkAttention pattern(16, 20);
  EXPECT_LT(largest(attended(pattern, heads) - expected), 1e-5);
  expect_passes_equal_one(pattern, heads);
  EXPECT_LT(
      largest(attended(DualChunkAttention(kTokens, 100), heads) - attended(FullAttention(), heads)),
      1e-6);
}

TEST(PositionArms, AreFullWithinAChunkOrShiftAndOtherwiseBeyond) {
  auto model = byte_model();  // of 64 tokens
  const ByteTokenizer tokenizer;
  const EvalSubject subject{*model, tokenizer, {}};
  const Item item = byte_item(150);
  const double full = answer_by(*make_arm("full"), subject, item, 200).nll;
  const std::pair<const char*, const char*> keys[] = {{"string", "shift"},
                                                      {"dual_chunk", "chunk_tokens"}};
  const Json near = {{"local", 8}};
  for (auto [arm, key] : keys) {
    const double whole = answer_by(*arm_with(arm, {{key, 400}}), subject, item, 200).nll;
    EXPECT_NEAR(whole, full, loss_bound(*model, full)) << arm;
    const auto by_length = arm_with(arm, arm == std::string("string") ? near : Json::object());
    EXPECT_GT(std::abs(answer_by(*by_length, subject, item, 200).nll - full), 1e-3) << arm;
  }
  EXPECT_THAT(error_of(
                  [] {
                    arm_with("string", {{"shift", 100}});
                  },
                  ExitCode::kUsage),
              ::testing::HasSubstr("is less than local"));
}

}  // namespace
}  // namespace longspan
