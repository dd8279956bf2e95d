#include "trainer/eval/arms/branch_attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randint.h>
#include <gmock/gmock.h>

#include "src/model/generate.h"
#include "tests/trainer/eval/arms/arm_fixtures.h"
#include "trainer/eval/arms/model_change.h"
#include "trainer/eval/arms/reading_arm.h"

namespace longspan {
namespace {

constexpr int64_t kTokensRead = 120, kBranches = 4, kBranchTokens = 5;

at::Tensor random_ids(at::IntArrayRef sizes) {
  at::manual_seed(7);
  return at::randint(256, sizes, at::kLong);
}

const std::vector<int64_t> kWholeRows(kBranches, kBranchTokens);
const std::vector<int64_t> kRaggedRows{5, 2, 1, 4};

/// The tokens of all rows, one after the other: [1, sum of lengths, hidden_size].
at::Tensor without_padding(const at::Tensor& hidden, const std::vector<int64_t>& lengths) {
  std::vector<at::Tensor> rows;
  for (int64_t row = 0; row < hidden.size(0); ++row) {
    rows.push_back(hidden.narrow(0, row, 1).narrow(1, 0, lengths[row]));
  }
  return at::cat(rows, 1);
}

at::Tensor as_branches(CausalLm& model, const at::Tensor& ids, const std::vector<int64_t>& lengths,
                       const ModelState& state) {
  return without_padding(branch_hidden_states(model, ids, lengths, state), lengths);
}

/// Each row for itself behind a fork.
at::Tensor one_by_one(CausalLm& model, const at::Tensor& ids, const std::vector<int64_t>& lengths,
                      const ModelState& state) {
  std::vector<at::Tensor> rows;
  for (int64_t row = 0; row < ids.size(0); ++row) {
    ModelState own = state.fork();
    const at::Tensor of_row = ids.narrow(0, row, 1).narrow(1, 0, lengths[row]);
    rows.push_back(model.hidden_states({of_row, {}, {}}, &own));
  }
  return at::cat(rows, 1);
}

ModelState read_text(CausalLm& model, int64_t tokens) {
  const auto text = some_text(tokens);
  ModelState state;
  prefill(model, {text.begin(), text.end()}, state, 50);
  return state;
}

/// Whatever the pattern, and whatever its state keeps.
TEST(BranchAttention, GivesWhatEachRowGivesAlone) {
  const at::NoGradGuard no_gradients;
  auto model = byte_model();
  const Json window = {{"window", 40}, {"sinks", 2}};
  const Json chunks = {{"chunk_tokens", 30}};
  const Json shift = {{"shift", 40}, {"local", 8}};
  const Json blocks = {
      {"initial_tokens", 4}, {"window_tokens", 16}, {"block_tokens", 8}, {"top_k", 3}};
  const Json memory = {
      {"mem_layers", Json::array({1})}, {"window", 64}, {"last_context_length", 32}};
  const std::pair<const char*, Json> arms[] = {{"full", Json::object()},   {"yarn", Json::object()},
                                               {"sliding_window", window}, {"dual_chunk", chunks},
                                               {"string", shift},          {"block_memory", blocks},
                                               {"focused_memory", memory}};
  for (const auto& [name, keys] : arms) {
    const std::string pattern = name == std::string("yarn") ? "full" : name;
    const auto arm = arm_with(name, keys);
    const ModelChange restored(*model);
    dynamic_cast<ReadingArm&>(*arm).change(*model, kTokensRead + kBranchTokens);
    const ModelState state = read_text(*model, kTokensRead);
    const at::Tensor ids = random_ids({kBranches, kBranchTokens});
    const int64_t terms = terms_of_logits(model->config(), kTokensRead + kBranchTokens);
    for (const auto& lengths : {kWholeRows, kRaggedRows}) {
      const at::Tensor expected = one_by_one(*model, ids, lengths, state);
      const at::Tensor together = as_branches(*model, ids, lengths, state);
      EXPECT_LE(largest(together - expected), float32_bound(expected, terms)) << name;
      // The rows are different texts, and leave nothing behind.
      EXPECT_GT(largest(together[0][0] - together[0][5]), 0.1) << name;
      EXPECT_EQ(state.length(), kTokensRead) << name;
      EXPECT_TRUE(at::equal(as_branches(*model, ids, lengths, state), together)) << name;
      EXPECT_EQ(model->attention().name(), pattern);
    }
  }
}

/// Beyond the length that LongRoPE's short factors are for the model reads the text again.
TEST(BranchAttention, TakesRowsOneByOneWhereTheModelReadsAnew) {
  const at::NoGradGuard no_gradients;
  ModelConfig config = tiny_llama_config();
  config.vocab_size = 256;
  config.max_position_embeddings = 128;
  config.original_max_position_embeddings = 64;
  const Json longrope = {{"rope_type", "longrope"},
                         {"factor", 2.0},
                         {"short_factor", {1.0, 1.1, 1.2, 1.3}},
                         {"long_factor", {2.0, 3.0, 4.0, 5.0}},
                         {"original_max_position_embeddings", 64}};
  Diagnostics diagnostics;
  config.rope_scaling = read_rope_scaling(Fields(longrope, diagnostics));
  ASSERT_TRUE(diagnostics.empty()) << diagnostics.errors().front();
  auto model = random_model(config);
  const at::Tensor ids = random_ids({kBranches, kBranchTokens});
  for (const int64_t read : {40, 62, 70}) {
    const ModelState state = read_text(*model, read);
    for (const auto& lengths : {kWholeRows, kRaggedRows}) {
      const at::Tensor expected = one_by_one(*model, ids, lengths, state);
      EXPECT_LE(largest(as_branches(*model, ids, lengths, state) - expected),
                float32_bound(expected, terms_of_logits(config, read + kBranchTokens)))
          << read;
    }
  }
}

/// Beyond the model's length its frequencies change with every token.
TEST(BranchAttention, TakesRowsOfOtherLengthsOneByOneWhereTheyTurnOtherwise) {
  const at::NoGradGuard no_gradients;
  auto model = byte_model();  // of 64 tokens
  const Json dynamic = {{"scaling", {{"rope_type", "dynamic"}, {"factor", 2.0}}}};
  const ModelChange restored(*model);
  const auto arm = arm_with("rope", dynamic);
  dynamic_cast<ReadingArm&>(*arm).change(*model, kTokensRead + kBranchTokens);
  const ModelState state = read_text(*model, kTokensRead);
  const at::Tensor ids = random_ids({kBranches, kBranchTokens});
  for (const auto& lengths : {kWholeRows, kRaggedRows}) {
    const at::Tensor expected = one_by_one(*model, ids, lengths, state);
    EXPECT_LE(
        largest(as_branches(*model, ids, lengths, state) - expected),
        float32_bound(expected, terms_of_logits(model->config(), kTokensRead + kBranchTokens)));
  }
}

}  // namespace
}  // namespace longspan
