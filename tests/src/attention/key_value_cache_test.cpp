#include "src/attention/key_value_cache.h"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <random>
#include <stdexcept>

namespace longspan {
namespace {

/// Keys and values of a whole text, read in parts.
struct Text {
  explicit Text(int64_t tokens)
      : k(at::randn({2, 3, tokens, 4})), v(at::randn({2, 3, tokens, 4})) {}

  KeysAndValues part(int64_t begin, int64_t end) const {
    return {k.slice(2, begin, end), v.slice(2, begin, end)};
  }

  at::Tensor k, v;
};

KeysAndValues read(LayerState& state, const KeysAndValues& part) {
  return state.read(state.length(), part.k, part.v);
}

void expect_equal(const KeysAndValues& actual, const KeysAndValues& expected) {
  EXPECT_TRUE(at::equal(actual.k, expected.k));
  EXPECT_TRUE(at::equal(actual.v, expected.v));
}

class KeyValueCacheTest : public ::testing::Test {
 protected:
  void SetUp() override { at::manual_seed(11); }

  const at::NoGradGuard no_gradients_;
};

TEST_F(KeyValueCacheTest, ReadsTheSameTwiceAndChangesNothing) {
  const Text text(9);
  KeyValueCache cache;
  expect_equal(read(cache, text.part(0, 5)), text.part(0, 5));
  EXPECT_EQ(cache.length(), 0);
  expect_equal(read(cache, text.part(0, 5)), text.part(0, 5));
  cache.commit();
  EXPECT_EQ(cache.length(), 5);
  const Text other(3);  // read and never committed
  read(cache, other.part(0, 3));
  expect_equal(read(cache, text.part(5, 9)), text.part(0, 9));
  EXPECT_EQ(cache.length(), 5);
}

TEST_F(KeyValueCacheTest, ReadsAnEarlierPassAsItWasRead) {
  const Text text(12);
  KeyValueCache cache;
  for (const auto& [begin, end] : {std::pair{0, 4}, {4, 7}, {7, 12}}) {
    read(cache, text.part(begin, end));
    cache.commit();
  }
  for (const bool gradients : {false, true}) {
    const at::AutoGradMode mode(gradients);
    const KeysAndValues middle = text.part(4, 7);
    expect_equal(cache.read(4, middle.k, middle.v), text.part(0, 7));
    EXPECT_EQ(cache.length(), 12);
  }
  const Text more(1);
  expect_equal(read(cache, more.part(0, 1)),
               {at::cat({text.k, more.k}, 2), at::cat({text.v, more.v}, 2)});
}

TEST_F(KeyValueCacheTest, HoldsWhatWasReadInParts) {
  std::mt19937 generator(3);
  for (int round = 0; round < 20; ++round) {
    const Text text(60);
    KeyValueCache cache;
    for (int64_t begin = 0; begin < 60;) {
      const int64_t end = std::min<int64_t>(60, begin + 1 + generator() % 9);
      const at::AutoGradMode mode(generator() % 2 == 0);
      expect_equal(read(cache, text.part(begin, end)), text.part(0, end));
      cache.commit();
      begin = end;
    }
  }
}

TEST_F(KeyValueCacheTest, SendsGradientsToThePassAlone) {
  const at::AutoGradMode with_gradients(true);
  const at::Tensor k = at::randn({1, 1, 5, 2}).requires_grad_(true);
  const at::Tensor v = at::randn({1, 1, 5, 2}).requires_grad_(true);
  KeyValueCache cache;
  cache.read(0, k.narrow(2, 0, 3), v.narrow(2, 0, 3));
  cache.commit();
  const KeysAndValues all = cache.read(3, k.narrow(2, 3, 2), v.narrow(2, 3, 2));
  cache.commit();
  read(cache, {k.detach(), v.detach()});  // what autograd keeps stays as it is
  cache.commit();
  (all.k * all.k).sum().backward();
  EXPECT_TRUE(at::equal(k.grad().narrow(2, 3, 2), 2 * k.detach().narrow(2, 3, 2)));
  EXPECT_EQ(k.grad().narrow(2, 0, 3).abs().max().item<float>(), 0);
}

TEST_F(KeyValueCacheTest, RefusesAPassThatSkipsTokens) {
  const Text text(4);
  KeyValueCache cache;
  EXPECT_THROW(cache.read(1, text.k, text.v), std::logic_error);
}

TEST_F(KeyValueCacheTest, ForksGoTheirOwnWays) {
  std::mt19937 generator(5);
  for (int round = 0; round < 40; ++round) {
    struct Way {
      std::shared_ptr<LayerState> state;
      KeysAndValues expected;
    };
    const Text start(6);
    std::vector<Way> ways{{std::make_shared<KeyValueCache>(), start.part(0, 6)}};
    read(*ways[0].state, start.part(0, 6));
    ways[0].state->commit();
    for (int event = 0; event < 30; ++event) {
      Way& way = ways[generator() % ways.size()];
      switch (generator() % 4) {
        case 0:
          ways.push_back({way.state->fork(), way.expected});
          break;
        case 1:
          if (ways.size() > 1) {
            std::swap(way, ways.back());
            ways.pop_back();
          }
          break;
        default: {
          const Text more(1 + generator() % 4);
          const KeysAndValues all{at::cat({way.expected.k, more.k}, 2),
                                  at::cat({way.expected.v, more.v}, 2)};
          expect_equal(read(*way.state, {more.k, more.v}), all);
          if (generator() % 2 == 0) {
            way.state->commit();
            way.expected = all;
          }
        }
      }
    }
    for (const Way& way : ways) {
      const Text last(1);
      expect_equal(read(*way.state, {last.k, last.v}),
                   {at::cat({way.expected.k, last.k}, 2), at::cat({way.expected.v, last.v}, 2)});
    }
  }
}

TEST_F(KeyValueCacheTest, CopiesNothingForForksThatFollowOneAnother) {
  const Text text(9), question(2);
  KeyValueCache cache;
  read(cache, text.part(0, 8));
  cache.commit();
  read(cache, text.part(8, 9));  // grows by half, to 12
  cache.commit();
  const auto ask = [&](LayerState& fork) {
    const void* memory = nullptr;
    for (int64_t token = 0; token < 2; ++token) {
      memory = read(fork, question.part(token, token + 1)).k.const_data_ptr();
      fork.commit();
    }
    return memory;
  };
  const void* memory = ask(*cache.fork());
  EXPECT_EQ(ask(*cache.fork()), memory);
  const auto fork = cache.fork();
  EXPECT_EQ(ask(*fork), memory);
  EXPECT_NE(ask(*cache.fork()), memory) << "the fork before it is still there";
  EXPECT_NE(ask(cache), memory);
}

}  // namespace
}  // namespace longspan
