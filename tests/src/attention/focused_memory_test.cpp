#include "src/attention/focused_memory.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/randn_like.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/attention/focused_memory_state.h"
#include "src/attention/kernels/joint_attention.h"
#include "tests/support/largest.h"
#include "tests/support/masked_attention.h"

namespace longspan {
namespace {

constexpr WindowLengths kLengths{.window = 8, .last_context = 5};
constexpr int64_t kHeads = 6, kKeyHeads = 2, kHeadDim = 16;

FocusedMemoryAttention pattern_with(MemDtype dtype) {
  FocusedMemoryOptions options;
  options.mem_layers = {1};
  options.lengths = kLengths;
  options.mem_dtype = dtype;
  return FocusedMemoryAttention(options);
}

Heads focused_heads(int64_t rows, int64_t tokens, at::ScalarType dtype = at::kFloat) {
  at::manual_seed(5);
  return {at::randn({rows, kHeads, tokens, kHeadDim}, dtype),
          at::randn({rows, kKeyHeads, tokens, kHeadDim}, dtype),
          at::randn({rows, kKeyHeads, tokens, kHeadDim}, dtype)};
}

Heads part_of(const Heads& all, int64_t begin, int64_t tokens) {
  return {all.q.narrow(2, begin, tokens), all.k.narrow(2, begin, tokens),
          all.v.narrow(2, begin, tokens)};
}

Rotary rotary_at(const at::Tensor& positions, at::ScalarType dtype, double attention_factor = 1) {
  RopeFrequencies frequencies{unscaled_inv_freq({kHeadDim, 10000.0, 64}), attention_factor};
  return Rotary(frequencies, positions.unsqueeze(0), dtype);
}

/// The definition, key after key: [B, H, T, D] from two attentions of twice the keys.
at::Tensor by_definition(const Heads& heads, bool is_memory, const at::Tensor& documents,
                         double attention_factor = 1) {
  const int64_t tokens = heads.q.size(2);
  const auto begins = ReadingWindows(kLengths).read(tokens, tokens);
  const at::Tensor begin = at::tensor(begins, at::kLong), token = at::arange(tokens, at::kLong);
  const Rotary rotary = rotary_at(token - begin, heads.q.scalar_type(), attention_factor);
  const at::Tensor query = token.unsqueeze(1), first = begin.unsqueeze(1);
  const at::Tensor own = token.ge(first).logical_and(token.le(query));
  const at::Tensor before = token.lt(first).logical_and(at::ones({1}, at::kBool).eq(is_memory));
  at::Tensor visible = at::cat({own, before}, 1);
  if (documents.defined()) {
    visible = visible.logical_and(documents.unsqueeze(1).eq(at::cat({documents, documents})));
  }
  return masked_attention(rotary.rotate(heads.q),
                          at::cat({rotary.rotate(heads.k), heads.k * attention_factor}, 2),
                          at::cat({heads.v, heads.v}, 2), visible);
}

AttentionContext context_of(const Rotary& rotary, int64_t layer) {
  return {.rotary = rotary, .document_ids = {}, .layer = layer};
}

TEST(FocusedMemory, EqualsItsDefinition) {
  const FocusedMemoryAttention pattern = pattern_with(MemDtype::kFloat32);
  for (const int64_t tokens : {1, 5, 6, 13, 14, 40}) {
    for (const int64_t layer : {0, 1}) {
      for (const double factor : {1.0, 1.25}) {
        const Heads heads = focused_heads(2, tokens);
        const Rotary rotary = rotary_at(at::arange(tokens), at::kFloat, factor);
        const at::Tensor expected = by_definition(heads, layer == 1, {}, factor);
        const at::Tensor out = pattern.attend(heads, context_of(rotary, layer));
        EXPECT_LT(largest(out - expected), 1e-5) << tokens << " layer " << layer;
      }
    }
  }
}

TEST(FocusedMemory, RemembersNothingOfOtherDocuments) {
  const FocusedMemoryAttention pattern = pattern_with(MemDtype::kFloat32);
  const Heads heads = focused_heads(1, 40);
  const Rotary rotary = rotary_at(at::arange(40), at::kFloat);
  const at::Tensor documents = at::arange(40, at::kLong).div(11, "floor");
  AttentionContext context = context_of(rotary, 1);
  context.document_ids = documents.unsqueeze(0);
  EXPECT_LT(largest(pattern.attend(heads, context) - by_definition(heads, true, documents)), 1e-5);
}

/// Attends pass after pass with a state.
at::Tensor in_passes(const FocusedMemoryAttention& pattern, const Heads& heads, int64_t layer,
                     int64_t chunk, const std::shared_ptr<LayerState>& state) {
  const int64_t tokens = heads.q.size(2);
  std::vector<at::Tensor> outs;
  for (int64_t begin = 0; begin < tokens; begin += chunk) {
    const int64_t count = std::min(chunk, tokens - begin);
    const Rotary rotary = rotary_at(at::arange(begin, begin + count), at::kFloat);
    AttentionContext context = context_of(rotary, layer);
    context.state = state.get();
    context.first_position = begin;
    context.sequence_length = tokens;
    outs.push_back(pattern.attend(part_of(heads, begin, count), context));
    // A layer that is recomputed attends twice.
    EXPECT_TRUE(at::equal(outs.back(), pattern.attend(part_of(heads, begin, count), context)));
    state->commit();
  }
  EXPECT_EQ(state->length(), tokens);
  return at::cat(outs, 2);
}

TEST(FocusedMemory, GivesInPassesWhatItGivesAtOnce) {
  const Heads heads = focused_heads(2, 45);
  const Rotary rotary = rotary_at(at::arange(45), at::kFloat);
  for (const auto& name : mem_dtype_names()) {
    const FocusedMemoryAttention pattern = pattern_with(mem_dtype_named(name));
    for (const bool gradients : {false, true}) {
      // Nothing is rounded on the way to a gradient.
      if (gradients && name != "float32") continue;
      const at::AutoGradMode mode(gradients);
      for (const int64_t layer : {0, 1}) {
        const at::Tensor expected = pattern.attend(heads, context_of(rotary, layer));
        for (const int64_t chunk : {1, 3, 8, 20, 45}) {
          const at::Tensor out = in_passes(pattern, heads, layer, chunk, pattern.make_state(layer));
          EXPECT_LT(largest(out - expected), 1e-5) << name << " " << layer << " chunk " << chunk;
        }
      }
    }
  }
}

TEST(FocusedMemory, AForkGoesItsOwnWay) {
  const at::NoGradGuard no_gradients;
  const FocusedMemoryAttention pattern = pattern_with(MemDtype::kBFloat16);
  const Heads heads = focused_heads(1, 30), question = focused_heads(1, 12);
  const auto state = pattern.make_state(1);
  in_passes(pattern, heads, 1, 7, state);
  const auto next = [&](const std::shared_ptr<LayerState>& from, const Heads& asked) {
    const int64_t begin = from->length(), tokens = asked.q.size(2);
    const Rotary rotary = rotary_at(at::arange(begin, begin + tokens), at::kFloat);
    AttentionContext context = context_of(rotary, 1);
    context.state = from.get();
    context.first_position = begin;
    const at::Tensor out = pattern.attend(asked, context);
    from->commit();
    return out;
  };
  const auto first = state->fork(), second = state->fork();
  const at::Tensor answer = next(first, question);
  next(first, question);
  EXPECT_EQ(state->length(), 30);
  EXPECT_TRUE(at::equal(next(second, question), answer));
  EXPECT_TRUE(at::equal(next(state, question), answer));
}

TEST(FocusedMemory, RefusesAPassThatLeavesTokensOut) {
  const auto state = pattern_with(MemDtype::kFloat32).make_state(1);
  EXPECT_THROW(state->read(3, at::zeros({1, 1, 1, 16}), at::zeros({1, 1, 1, 16})),
               std::logic_error);
}

TEST(FocusedMemory, IsReadInPassesThatCloseAWindowBeforeTheTokensThatSearchIt) {
  using testing::ElementsAre;
  const FocusedMemoryAttention pattern = pattern_with(MemDtype::kFloat32);
  EXPECT_THAT(pattern.reading_passes(5), ElementsAre(5));
  EXPECT_THAT(pattern.reading_passes(13), ElementsAre(8, 1, 4));
  // A window that is cut short before the last one, which stays together.
  EXPECT_THAT(pattern.reading_passes(25), ElementsAre(8, 1, 7, 1, 3, 1, 4));
  EXPECT_THAT(make_attention_pattern("full")->reading_passes(5000), ElementsAre(5000));
}

TEST(FocusedMemory, ScoresThePairsOfItsWindows) {
  const FocusedMemoryAttention pattern = pattern_with(MemDtype::kFloat32);
  // Windows of 8, 8, 4 and 5 tokens.
  EXPECT_EQ(pattern.scored_pairs(25, 3), 3 * (36 + 36 + 10 + 15));
}

TEST(FocusedMemory, AMemoryLayerReadsAllBeforeOrTheTokensOfItsPages) {
  FocusedMemoryOptions options = pattern_with(MemDtype::kFloat32).options();
  const int64_t own = 36 + 36 + 10 + 15;
  EXPECT_EQ(FocusedMemoryAttention(options).read_pairs(0, 25, 3), 3 * own);
  EXPECT_EQ(FocusedMemoryAttention(options).read_pairs(1, 25, 3), 3 * (25 * 26 / 2));
  options.search_pages = 2;
  options.search_page_tokens = 5;
  // Before 8 tokens there are 8 others; of the 9 behind them each bounds 4 pages and finds 10.
  EXPECT_EQ(FocusedMemoryAttention(options).read_pairs(1, 25, 3), 3 * (own + 8 * 8 + 9 * (4 + 10)));
}

TEST(FocusedMemory, KeepsItsOpenWindowAndInMemoryLayersAllBefore) {
  const KeyValueForm form{.heads = kKeyHeads, .head_dim = 32, .bits = 16};
  const int64_t token = 2 * kKeyHeads * 32 * 2;
  FocusedMemoryOptions options = pattern_with(MemDtype::kBFloat16).options();
  // 20 tokens in closed windows, 5 in the open one.
  EXPECT_EQ(FocusedMemoryAttention(options).kept_bytes(0, 25, form), 5 * token);
  EXPECT_EQ(FocusedMemoryAttention(options).kept_bytes(1, 25, form), (2 * 5 + 20) * token);
  options.mem_dtype = MemDtype::kInt8;  // a byte a number and 2 a group of 32
  EXPECT_EQ(FocusedMemoryAttention(options).kept_bytes(1, 25, form),
            10 * token + 20 * 2 * kKeyHeads * 34);
  options.search_pages = 1;
  options.search_page_tokens = 8;  // 3 pages, whose two bounds are float32
  EXPECT_EQ(FocusedMemoryAttention(options).kept_bytes(1, 25, form),
            10 * token + 20 * 2 * kKeyHeads * 34 + 3 * 2 * kKeyHeads * 32 * 4);
}

TEST(FocusedMemory, CountsThePairsOfTrainingByLayerAndSchedule) {
  const FocusedMemoryAttention pattern = pattern_with(MemDtype::kFloat32);
  // Rows of 2 documents: 0, 1, 2, 3 windows before in the first, whose negatives are not there,
  // and 0, 2, 3, 3 in the second.
  EXPECT_EQ(pattern.trained_pairs(0, 8, 8, 3), 3 * 8 * 36);
  EXPECT_EQ(pattern.trained_pairs(1, 8, 8, 3), 3 * (8 * 36 + (6 + 8) * 64));
  EXPECT_EQ(pattern.other_rows(0, 8), 0);
  EXPECT_EQ(pattern.other_rows(1, 8), 3);
  EXPECT_EQ(pattern.misfit_of_batch(8, 8), "");
  EXPECT_THAT(pattern.misfit_of_batch(6, 8), testing::HasSubstr("multiple of 4"));
  EXPECT_THAT(pattern.misfit_of_batch(8, 9), testing::HasSubstr("a row of 9 tokens is a window"));
}

TEST(FocusedMemory, ReadsTheKeysThatItWrites) {
  const Json given = {
      {"pattern", "focused_memory"},      {"mem_layers", {1, 4}},        {"window", 512},
      {"last_context_length", 100},       {"mem_positionals", false},    {"mem_dtype", "int4"},
      {"mem_attention_grouping", {4, 8}}, {"schedule", {{0, 0}, {1, 2}}}};
  Diagnostics diagnostics;
  const auto pattern = read_attention_pattern(Fields(given, diagnostics));
  EXPECT_TRUE(diagnostics.empty());
  EXPECT_EQ(nlohmann::json(write_attention_pattern(*pattern)), nlohmann::json(given));
  EXPECT_EQ(pattern->passage_rows(), 2);
  EXPECT_EQ(pattern->rope_length(10000), 512);
  EXPECT_EQ(pattern->misfit(5, 9), "");
  EXPECT_THAT(pattern->misfit(4, 9), testing::HasSubstr("mem_layers has 4"));
}

TEST(FocusedMemory, NamesWhatIsWrongWithItsKeys) {
  const auto errors = [](Json keys) {
    keys["pattern"] = "focused_memory";
    Diagnostics diagnostics;
    read_attention_pattern(Fields(keys, diagnostics, "attention"));
    return diagnostics.errors();
  };
  using testing::ElementsAre, testing::HasSubstr;
  EXPECT_THAT(errors({{"mem_layers", {-1}}}), ElementsAre(HasSubstr("-1 is no layer")));
  EXPECT_THAT(errors({{"mem_layers", {2, 2}}}), ElementsAre(HasSubstr("2 stands twice")));
  EXPECT_THAT(errors({{"window", 16}, {"last_context_length", 17}}),
              ElementsAre(HasSubstr("17 do not fit a window of 16")));
  EXPECT_THAT(errors({{"mem_dtype", "int3"}}), ElementsAre(HasSubstr("'int3' is not known")));
  EXPECT_THAT(errors({{"mem_attention_grouping", {4}}}),
              ElementsAre(HasSubstr("has [4]; expected two numbers from 1")));
  for (const Json& schedule : {Json::array(), Json({{0, 0}, {2, 0}}), Json({{0}}), Json("3b")}) {
    EXPECT_THAT(errors({{"schedule", schedule}}), ElementsAre(HasSubstr("does not fit")))
        << schedule.dump();
  }
}

TEST(JointAttention, EqualsAttentionOverAllKeysAndItsGradients) {
  at::manual_seed(8);
  for (const auto dtype : {at::kFloat, at::kDouble}) {
    const auto random = [&](int64_t heads, int64_t tokens) {
      return at::randn({2, heads, tokens, kHeadDim}, dtype).requires_grad_(true);
    };
    const at::Tensor q = random(kHeads, 9), k = random(kKeyHeads, 9), v = random(kKeyHeads, 9);
    const at::Tensor more_k = random(kKeyHeads, 21), more_v = random(kKeyHeads, 21);
    const at::Tensor ends = at::arange(9, at::kInt).expand({1, kHeads, 9}).contiguous();
    const std::vector<KeySource> sources{{k, v}, {more_k.narrow(0, 1, 1), more_v.narrow(0, 1, 1)}};
    const at::Tensor zeros = at::zeros_like(ends);
    const std::vector<KeyPart> parts{
        {.num_keys = 9, .visible = {at::zeros({2, kHeads, 9}, at::kInt)}},
        {.source = 1, .first_row = 1, .num_keys = 3, .visible = {zeros, ends.clamp_max(3)}},
        {.source = 1,
         .first_row = 1,
         .first_key = 3,
         .num_keys = 18,
         .visible = {zeros, (ends - 3).clamp_min(0)}}};
    // Row 1 sees more keys than row 0: its query i the first i of them.
    const at::Tensor causal = at::ones({9, 9}, at::kBool).tril().expand({2, kHeads, 9, 9});
    const at::Tensor first =
        at::arange(21).lt(at::arange(9).unsqueeze(1)).expand({2, kHeads, 9, 21});
    const at::Tensor row = at::tensor({0, 1}).eq(1).view({2, 1, 1, 1});
    const at::Tensor expected =
        masked_attention(q, at::cat({k, more_k}, 2), at::cat({v, more_v}, 2),
                         at::cat({causal, first.logical_and(row)}, 3));
    const at::Tensor upstream = at::randn_like(expected);
    const double bound = dtype == at::kDouble ? 1e-12 : 3e-5;
    const std::vector<at::Tensor> inputs{q, k, v, more_k, more_v};
    std::vector<at::Tensor> gradients;
    (expected * upstream).sum().backward();
    for (const at::Tensor& x : inputs) {
      gradients.push_back(x.grad().clone());
      x.mutable_grad().reset();
    }
    AttentionResult kept;
    {
      const at::NoGradGuard no_gradients;
      EXPECT_LT(largest(joint_attention(q, sources, parts, &kept) - expected), bound);
    }
    const at::Tensor out = joint_attention(q, sources, parts, &kept);
    EXPECT_LT(largest(out - expected), bound);
    (out * upstream).sum().backward();
    for (size_t i = 0; i < inputs.size(); ++i) {
      EXPECT_LT(largest(inputs[i].grad() - gradients[i]), bound) << c10::toString(dtype) << i;
    }
  }
}

}  // namespace
}  // namespace longspan
