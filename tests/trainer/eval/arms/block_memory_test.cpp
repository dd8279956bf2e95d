#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>

#include "src/attention/full.h"
#include "tests/support/largest.h"
#include "tests/trainer/eval/arms/arm_fixtures.h"
#include "trainer/eval/arms/block_memory_attention.h"

namespace longspan {
namespace {

using ::testing::HasSubstr;

const Json kSmall = {{"initial_tokens", 4}, {"window_tokens", 16},  {"block_tokens", 8},
                     {"top_k", 1},          {"representatives", 2}, {"query_tokens", 8}};

Json small_with(const char* key, int64_t value) {
  Json keys = kSmall;
  keys[key] = value;
  return keys;
}

std::shared_ptr<BlockMemoryAttention> block_memory(const Json& keys) {
  auto pattern = std::make_shared<BlockMemoryAttention>();
  Diagnostics diagnostics;
  Fields fields(keys, diagnostics);
  pattern->read(fields);
  diagnostics.throw_if_any(ExitCode::kUsage);
  return pattern;
}

class BlockMemory : public ::testing::Test {
 protected:
  /// Random heads, 6 of queries and 3 of keys.
  static Heads random_heads(int64_t tokens) {
    at::manual_seed(tokens);
    return {at::randn({1, 6, tokens, 16}), at::randn({1, 3, tokens, 16}),
            at::randn({1, 3, tokens, 16})};
  }
  static Rotary rotary(int64_t tokens, int64_t first = 0) {
    const RopeGeometry geometry{.head_dim = 16};
    return {make_rope_scaling("default")->frequencies(geometry, tokens),
            at::arange(first, first + tokens, at::kLong).unsqueeze(0), at::kFloat};
  }
  static at::Tensor attend(const AttentionPattern& pattern, const Heads& heads) {
    const Rotary turned = rotary(heads.q.size(2));
    return pattern.attend(heads, {.rotary = turned, .document_ids = {}});
  }

  at::NoGradGuard no_gradients_;
};

TEST_F(BlockMemory, WithAllBlocksIsFullAttention) {
  const Heads heads = random_heads(150);
  const at::Tensor full = attend(FullAttention(), heads);
  EXPECT_LT(largest(attend(*block_memory(small_with("top_k", 100)), heads) - full), 1e-5);
  EXPECT_LT(largest(attend(*block_memory(small_with("window_tokens", 150)), heads) - full), 1e-5);
  EXPECT_GT(largest(attend(*block_memory(kSmall), heads) - full), 0.1);
}

/// A block whose keys stand out in the direction of a query is the one that the query gets.
TEST_F(BlockMemory, LooksUpTheBlockThatSuitsTheQuery) {
  Heads heads{at::randn({1, 6, 100, 16}) * 0.01, at::randn({1, 3, 100, 16}) * 0.01,
              at::zeros({1, 3, 100, 16})};
  heads.q.select(3, 0).narrow(2, 80, 8).fill_(-5);  // of these 88 to 96 get another block
  heads.q.select(3, 0).narrow(2, 88, 12).fill_(5);  // 88 to 96 ask for dimension 0, for the last
  heads.q.select(3, 0).narrow(2, 40, 8).fill_(5);   // and those in the window behind the block
  heads.k.select(3, 0).narrow(2, 28, 8).fill_(5);   // block 3, tokens 28 to 36, has it
  heads.v.narrow(2, 28, 8).fill_(1);
  const at::Tensor out = attend(*block_memory(kSmall), heads);
  EXPECT_GT(out.select(2, 99).min().item<float>(), 0.9);
  EXPECT_LT(largest(out.select(2, 90)), 0.5);
  Json none = small_with("top_k", 0);
  EXPECT_EQ(largest(attend(*block_memory(none), heads).select(2, 99)), 0);
  none["initial_tokens"] = 0;
  EXPECT_EQ(largest(attend(*block_memory(none), heads).select(2, 99)), 0);
}

TEST_F(BlockMemory, OfPassesIsThatOfOneWherePassesEndWithTheLookUps) {
  const Heads heads = random_heads(120);
  for (bool far : {false, true}) {
    auto pattern = block_memory(kSmall);
    pattern->set_one_far_position(far);
    const at::Tensor whole = attend(*pattern, heads);
    auto state = pattern->make_state(0);
    for (int64_t first = 0; first < 120; first += 40) {
      const Rotary turned = rotary(40, first);
      const Heads part{heads.q.narrow(2, first, 40), heads.k.narrow(2, first, 40),
                       heads.v.narrow(2, first, 40)};
      const AttentionContext context{
          .rotary = turned, .document_ids = {}, .state = state.get(), .first_position = first};
      for (int again = 0; again < 2; ++again) {  // recomputation reads twice
        const at::Tensor out = pattern->attend(part, context);
        EXPECT_LT(largest(out - whole.narrow(2, first, 40)), 1e-5);
      }
      state->commit();
    }
    auto fork = state->fork();
    EXPECT_EQ(fork->length(), 120);
  }
}

/// Disturbed within a look-up of eight tokens, and right behind one.
TEST_F(BlockMemory, LeaksNothingOfTheFuture) {
  const Heads heads = random_heads(120);
  auto pattern = block_memory(kSmall);
  const at::Tensor before = attend(*pattern, heads);
  for (int64_t place : {101, 103, 104, 119}) {
    const int64_t behind = 120 - place;
    Heads other{heads.q.clone(), heads.k.clone(), heads.v.clone()};
    for (at::Tensor* x : {&other.q, &other.k, &other.v}) x->narrow(2, place, behind).fill_(3);
    const at::Tensor change = attend(*pattern, other) - before;
    EXPECT_EQ(largest(change.narrow(2, 0, place)), 0) << place;
    EXPECT_GT(largest(change.narrow(2, place, behind)), 0) << place;
  }
}

/// A pass of an eighth of query_tokens asks with each token's own query, as passes of one do.
TEST_F(BlockMemory, AShortPassLooksUpTokenByToken) {
  Json keys = small_with("query_tokens", 64);
  const Heads heads = random_heads(128);
  auto pattern = block_memory(keys);
  const auto passes = [&](const std::vector<int64_t>& sizes) {
    auto state = pattern->make_state(0);
    std::vector<at::Tensor> outputs;
    int64_t first = 0;
    for (const int64_t size : sizes) {
      const Rotary turned = rotary(size, first);
      const Heads part{heads.q.narrow(2, first, size), heads.k.narrow(2, first, size),
                       heads.v.narrow(2, first, size)};
      outputs.push_back(pattern->attend(
          part,
          {.rotary = turned, .document_ids = {}, .state = state.get(), .first_position = first}));
      state->commit();
      first += size;
    }
    return at::cat(outputs, 2).narrow(2, 120, 8);
  };
  EXPECT_EQ(largest(passes({120, 8}) - passes({120, 1, 1, 1, 1, 1, 1, 1, 1})), 0);
  EXPECT_GT(largest(passes({120, 8}) - passes({119, 9})), 0.01);
}

/// One far position: what the initial tokens and the blocks hold is a set, without an order.
TEST_F(BlockMemory, OneFarPositionForgetsWhereATokenStood) {
  Heads heads = random_heads(120);
  auto pattern = block_memory(small_with("top_k", 100));
  pattern->set_one_far_position(true);
  const at::Tensor before = attend(*pattern, heads);
  Heads swapped = heads;
  swapped.k = heads.k.clone();
  swapped.v = heads.v.clone();
  for (auto [from, to] : {std::pair{10, 50}, {50, 10}}) {
    swapped.k.select(2, to).copy_(heads.k.select(2, from));
    swapped.v.select(2, to).copy_(heads.v.select(2, from));
  }
  const at::Tensor after = attend(*pattern, swapped);
  EXPECT_LT(largest((after - before).narrow(2, 112, 8)), 1e-5);
  pattern->set_one_far_position(false);
  EXPECT_GT(largest((attend(*pattern, swapped) - attend(*pattern, heads)).narrow(2, 112, 8)), 1e-3);
}

/// Written out: the first tokens at position 0 and the window right behind them.
TEST_F(BlockMemory, HasFarKeysRightBeforeTheWindow) {
  Heads heads = random_heads(100);
  auto pattern = block_memory(small_with("top_k", 0));
  pattern->set_one_far_position(true);
  const at::Tensor out = attend(*pattern, heads).select(2, 99);
  // 96 to 99 look up together: 9 blocks of 8 behind the first 4 tokens, all from 76 on.
  std::vector<int64_t> places, positions;
  for (int64_t i : {0, 1, 2, 3}) places.push_back(i), positions.push_back(0);
  for (int64_t i = 76; i < 100; ++i) places.push_back(i), positions.push_back(i - 75);
  const at::Tensor index = at::tensor(places, at::kLong);
  const Rotary turned{make_rope_scaling("default")->frequencies({.head_dim = 16}, 100),
                      at::tensor(positions, at::kLong).unsqueeze(0), at::kFloat};
  const at::Tensor k = turned.rotate(heads.k.index_select(2, index)).repeat_interleave(2, 1);
  const at::Tensor v = heads.v.index_select(2, index).repeat_interleave(2, 1);
  const at::Tensor q = rotary(1, 24).rotate(heads.q.narrow(2, 99, 1));
  const at::Tensor scores = at::matmul(q, k.transpose(2, 3)).div(4).softmax(-1);
  EXPECT_LT(largest(at::matmul(scores, v).select(2, 0) - out), 1e-5);
}

TEST_F(BlockMemory, CountsThePairsThatItScores) {
  auto pattern = block_memory(kSmall);
  EXPECT_EQ(pattern->scored_pairs(16, 2), FullAttention().scored_pairs(16, 2));
  // From 32 on: 4 initial, 1 block of 8, then from 4 + 8 blocks; see seen_from.
  int64_t pairs = FullAttention().scored_pairs(32, 1);
  for (int64_t first : {32, 40}) {
    const int64_t local = 4 + (first - 20) / 8 * 8;
    pairs += 8 * (12 + first - local) + 36;
  }
  EXPECT_EQ(pattern->scored_pairs(48, 1), pairs);
}

TEST(BlockMemoryArm, WithAllBlocksEqualsFull) {
  auto model = byte_model();
  const ByteTokenizer tokenizer;
  const EvalSubject subject{*model, tokenizer, {}};
  Item item = byte_item(140);
  const auto ids32 = tokenizer.encode(some_text(160));
  const std::vector<int64_t> ids(ids32.begin(), ids32.end());
  model->set_rope_scaling(model->config().rope_scaling, 4096);  // at home with all of it
  const Answer full = answer_by(*make_arm("full"), subject, item);
  const auto losses = make_arm("full")->target_nll(subject, ids, 8);
  const auto all = arm_with("block_memory", small_with("top_k", 100));
  const Answer answer = answer_by(*all, subject, item);
  EXPECT_NEAR(answer.nll, full.nll, 1e-4);
  EXPECT_EQ(answer.text, full.text);
  const auto by_all = all->target_nll(subject, ids, 8);
  for (size_t i = 0; i < losses.size(); ++i) EXPECT_NEAR(by_all[i], losses[i], 1e-4);

  const auto few = arm_with("block_memory", kSmall);
  EXPECT_GT(std::abs(answer_by(*few, subject, item).nll - full.nll), 1e-3);
  model->set_rope_scaling(model->config().rope_scaling, 64);  // beyond it: one far position
  EXPECT_GT(std::abs(answer_by(*all, subject, item).nll - full.nll), 1e-3);
}

TEST(BlockMemoryArm, NeedsAWindowOfABlock) {
  EXPECT_THAT(
      error_of([] { arm_with("block_memory", small_with("window_tokens", 7)); }, ExitCode::kUsage),
      HasSubstr("expected at least one block"));
}

}  // namespace
}  // namespace longspan
