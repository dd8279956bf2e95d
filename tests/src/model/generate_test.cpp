#include "src/model/generate.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "tests/support/float32_bound.h"
#include "tests/support/tiny_llama.h"

namespace longspan {
namespace {

const std::vector<int64_t> kPrompt{5, 17, 3, 42, 8, 8, 29};

at::Tensor last_logits(CausalLm& model, const std::vector<int64_t>& ids) {
  at::Tensor input = at::tensor(ids, at::kLong).unsqueeze(0);
  at::Tensor hidden = model.hidden_states({input, {}, {}}).squeeze(0);
  return at::linear(hidden[-1], model.lm_head_weight());
}

ExitCode code_of(const std::function<void()>& run) {
  try {
    run();
  } catch (const Error& e) {
    return e.code();
  }
  return ExitCode::kOk;
}

TEST(Generate, GreedyWithCacheEqualsGreedyWithoutCache) {
  auto model = random_model(tiny_llama_config());
  auto generated = generate(*model, kPrompt, {.max_new_tokens = 20});
  std::vector<int64_t> ids = kPrompt, expected;
  for (int i = 0; i < 20; ++i) {
    expected.push_back(last_logits(*model, ids).argmax().item<int64_t>());
    ids.push_back(expected.back());
  }
  EXPECT_EQ(generated, expected);
}

TEST(Generate, PrefillInChunksChangesNothing) {
  auto model = random_model(tiny_llama_config());
  for (int64_t chunk : {1, 2, 3, 7, 100}) {
    ModelState state;
    at::Tensor hidden = prefill(*model, kPrompt, state, chunk);
    EXPECT_EQ(state.length(), 7);
    at::Tensor logits = at::linear(hidden, model->lm_head_weight()).squeeze(0);
    const at::Tensor whole = last_logits(*model, kPrompt);
    EXPECT_LT(largest(logits - whole), float32_bound(whole, terms_of_logits(model->config(), 7)))
        << chunk;
  }
}

TEST(Generate, ContinuesWhatAStateHolds) {
  auto model = random_model(tiny_llama_config());
  ModelState state;
  prefill(*model, {kPrompt.begin(), kPrompt.end() - 1}, state, 4);
  auto continued = generate(*model, {kPrompt.back()}, {.max_new_tokens = 8}, {}, &state);
  EXPECT_EQ(continued, generate(*model, kPrompt, {.max_new_tokens = 8}));
}

TEST(Generate, AForkBranchesOff) {
  auto model = random_model(tiny_llama_config());
  ModelState state;
  prefill(*model, {kPrompt.begin(), kPrompt.end() - 1}, state, 4);
  ModelState fork = state.fork();
  generate(*model, {1, 2, 3}, {.max_new_tokens = 5}, {}, &fork);
  auto continued = generate(*model, {kPrompt.back()}, {.max_new_tokens = 8}, {}, &state);
  EXPECT_EQ(continued, generate(*model, kPrompt, {.max_new_tokens = 8}));
}

TEST(Generate, StopsBeforeAnEosToken) {
  auto config = tiny_llama_config();
  auto free_run = generate(*random_model(config), kPrompt, {.max_new_tokens = 12});
  int64_t eos = free_run[5];
  size_t first = std::find(free_run.begin(), free_run.end(), eos) - free_run.begin();
  config.eos_token_ids = {eos};
  auto stopped = generate(*random_model(config), kPrompt, {.max_new_tokens = 12});
  EXPECT_EQ(stopped, std::vector<int64_t>(free_run.begin(), free_run.begin() + first));
}

TEST(Generate, StopsWhenTheListenerSaysSo) {
  auto model = random_model(tiny_llama_config());
  std::vector<int64_t> heard;
  auto ids = generate(*model, kPrompt, {.max_new_tokens = 12}, [&](int64_t id) {
    heard.push_back(id);
    return heard.size() < 3;
  });
  EXPECT_EQ(ids.size(), 3);
  EXPECT_EQ(heard, ids);
}

TEST(Generate, SamplingIsAFunctionOfTheSeed) {
  auto model = random_model(tiny_llama_config());
  GenerateOptions options{.max_new_tokens = 20, .temperature = 1.5, .seed = 3};
  auto first = generate(*model, kPrompt, options);
  EXPECT_EQ(generate(*model, kPrompt, options), first);
  options.seed = 4;
  EXPECT_NE(generate(*model, kPrompt, options), first);
}

TEST(NextToken, IsNoneOfThoseWithoutAToken) {
  std::mt19937_64 generator(0);
  const at::Tensor logits = at::tensor({1.f, 9.f, 3.f, 8.f});
  EXPECT_EQ(next_token(logits, {.never = {1, 3}}, generator), 2);
  for (int i = 0; i < 100; ++i) {
    EXPECT_NE(next_token(logits, {.temperature = 5, .never = {1, 3}}, generator) % 2, 1);
  }
  EXPECT_EQ(logits[1].item<float>(), 9.f);  // the caller's are as they were
}

TEST(Generate, RefusesWhatCannotBeMeant) {
  auto model = random_model(tiny_llama_config());
  EXPECT_EQ(code_of([&] { generate(*model, {}, {}); }), ExitCode::kUsage);
  EXPECT_EQ(code_of([&] { generate(*model, kPrompt, {.temperature = -1}); }), ExitCode::kUsage);
  EXPECT_EQ(code_of([&] { generate(*model, kPrompt, {.top_p = 0}); }), ExitCode::kUsage);
  EXPECT_EQ(code_of([&] { generate(*model, kPrompt, {.top_p = 1.5}); }), ExitCode::kUsage);
}

TEST(NextToken, RefusesLogitsThatAreNotFinite) {
  std::mt19937_64 generator;
  EXPECT_EQ(code_of([&] {
              next_token(at::tensor({0.f, NAN, 1.f}), {}, generator);
            }),
            ExitCode::kNonFinite);
}

TEST(NucleusSize, IsTheSmallestSetThatHoldsTheMass) {
  std::vector<float> probabilities{0.5f, 0.25f, 0.125f, 0.125f};  // exact in binary
  EXPECT_EQ(nucleus_size(probabilities, 0.1), 1);
  EXPECT_EQ(nucleus_size(probabilities, 0.5), 1);
  EXPECT_EQ(nucleus_size(probabilities, 0.51), 2);
  EXPECT_EQ(nucleus_size(probabilities, 0.75), 2);
  EXPECT_EQ(nucleus_size(probabilities, 0.76), 3);
  EXPECT_EQ(nucleus_size(probabilities, 1.0), 4);
}

TEST(NextToken, NeverLeavesTheNucleus) {
  at::Tensor logits = at::tensor({0.125f, 0.5f, 0.125f, 0.25f}).log();
  std::mt19937_64 generator(1);
  std::map<int64_t, int> counts;
  for (int i = 0; i < 3000; ++i) {
    ++counts[next_token(logits, {.temperature = 1, .top_p = 0.7}, generator)];
  }
  EXPECT_EQ(counts.size(), 2);
  EXPECT_NEAR(counts[1] / 3000.0, 2.0 / 3, 0.03);  // 0.5 of 0.75
  EXPECT_NEAR(counts[3] / 3000.0, 1.0 / 3, 0.03);
}

TEST(NextToken, TemperatureSharpens) {
  at::Tensor logits = at::tensor({0.f, 1.f});
  std::mt19937_64 generator(1);
  int sharp = 0;
  for (int i = 0; i < 2000; ++i) sharp += next_token(logits, {.temperature = 0.5}, generator) == 1;
  EXPECT_NEAR(sharp / 2000.0, 1 / (1 + std::exp(-2.0)), 0.03);
}

}  // namespace
}  // namespace longspan
