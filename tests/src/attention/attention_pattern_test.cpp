#include <ATen/Context.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "src/attention/attention.h"
#include "src/attention/shifted_sparse.h"
#include "tests/support/float32_bound.h"
#include "tests/support/masked_attention.h"
#include "tests/support/shifted_sparse_mask.h"

namespace longspan {
namespace {

struct Shape {
  int64_t rows, query_heads, key_value_heads, seq_len, head_dim;
};

constexpr Shape kShapes[] = {
    {1, 9, 3, 37, 8}, {2, 9, 3, 16, 8}, {2, 4, 4, 5, 16}, {1, 1, 1, 1, 8}, {2, 9, 3, 129, 64}};

Rotary unscaled_rotary(const Shape& shape, at::ScalarType dtype) {
  RopeFrequencies frequencies{unscaled_inv_freq({shape.head_dim, 10000.0, 64}), 1.0};
  return Rotary(frequencies, at::arange(shape.seq_len, at::kLong).unsqueeze(0), dtype);
}

Heads random_heads(const Shape& s, at::ScalarType dtype) {
  at::manual_seed(7);
  return {at::randn({s.rows, s.query_heads, s.seq_len, s.head_dim}, dtype),
          at::randn({s.rows, s.key_value_heads, s.seq_len, s.head_dim}, dtype),
          at::randn({s.rows, s.key_value_heads, s.seq_len, s.head_dim}, dtype)};
}

Heads disturbed(const Heads& heads, int64_t begin, int64_t tokens) {
  Heads other{heads.q.clone(), heads.k.clone(), heads.v.clone()};
  for (at::Tensor* x : {&other.q, &other.k, &other.v}) x->narrow(2, begin, tokens).add_(3.0);
  return other;
}

std::shared_ptr<AttentionPattern> sliding_window_pattern(int64_t window, int64_t sinks) {
  Diagnostics diagnostics;
  Json options{{"pattern", "sliding_window"}, {"window", window}, {"sinks", sinks}};
  auto pattern = read_attention_pattern(Fields(options, diagnostics));
  diagnostics.throw_if_any(ExitCode::kFailure);
  return pattern;
}

/// Every pattern of the registry, with settings that give several groups at these lengths.
std::vector<std::shared_ptr<AttentionPattern>> patterns() {
  std::vector<std::shared_ptr<AttentionPattern>> all;
  for (const auto& name : attention_patterns()) all.push_back(make_attention_pattern(name));
  Diagnostics diagnostics;
  Json fixed{{"pattern", "shifted_sparse"}, {"group_size", 7}};
  all.push_back(read_attention_pattern(Fields(fixed, diagnostics)));
  fixed["full_heads"] = 3;
  all.push_back(read_attention_pattern(Fields(fixed, diagnostics)));
  all.push_back(sliding_window_pattern(5, 2));
  diagnostics.throw_if_any(ExitCode::kFailure);
  return all;
}

template <class Check>
void for_each_case(const Check& check) {
  for (const auto& pattern : patterns()) {
    for (const Shape& shape : kShapes) {
      for (auto dtype : {at::kFloat, at::kBFloat16}) {
        SCOPED_TRACE(fmt::format("{} {} T={} H={} {}", pattern->name(), pattern->write().dump(),
                                 shape.seq_len, shape.query_heads, c10::toString(dtype)));
        check(*pattern, shape, dtype);
      }
    }
  }
}

TEST(AttentionPatterns, SeeNothingOfTheFuture) {
  for_each_case([](const AttentionPattern& pattern, const Shape& shape, at::ScalarType dtype) {
    Rotary rotary = unscaled_rotary(shape, dtype);
    Heads heads = random_heads(shape, dtype);
    at::Tensor before = pattern.attend(heads, {rotary, {}});
    for (int64_t t = 0; t < shape.seq_len; t += 1 + shape.seq_len / 9) {
      at::Tensor after = pattern.attend(disturbed(heads, t, 1), {rotary, {}});
      EXPECT_TRUE(at::equal(before.narrow(2, 0, t), after.narrow(2, 0, t))) << "token " << t;
      EXPECT_FALSE(at::equal(before.narrow(2, t, 1), after.narrow(2, t, 1))) << "token " << t;
    }
  });
}

TEST(AttentionPatterns, SeeNothingOfOtherDocuments) {
  for_each_case([](const AttentionPattern& pattern, const Shape& shape, at::ScalarType dtype) {
    if (shape.seq_len < 5) return;
    Rotary rotary = unscaled_rotary(shape, dtype);
    Heads heads = random_heads(shape, dtype);
    int64_t begin = shape.seq_len / 3, tokens = shape.seq_len / 2 - begin + 1;
    at::Tensor documents = at::zeros({shape.rows, shape.seq_len}, at::kLong);
    documents.narrow(1, begin, tokens).fill_(1);
    documents.narrow(1, begin + tokens, shape.seq_len - begin - tokens).fill_(4);
    at::Tensor before = pattern.attend(heads, {rotary, documents});
    at::Tensor after = pattern.attend(disturbed(heads, begin, tokens), {rotary, documents});
    at::Tensor same = documents.ne(1).unsqueeze(1).unsqueeze(3).expand_as(before);
    EXPECT_TRUE(at::equal(before.masked_select(same), after.masked_select(same)));
    EXPECT_FALSE(at::equal(before, after));
  });
}

TEST(AttentionPatterns, KeepTheRowsOfABatchApart) {
  for_each_case([](const AttentionPattern& pattern, const Shape& shape, at::ScalarType dtype) {
    if (shape.rows < 2) return;
    Rotary rotary = unscaled_rotary(shape, dtype);
    Heads heads = random_heads(shape, dtype);
    at::Tensor together = pattern.attend(heads, {rotary, {}});
    Heads second{heads.q.narrow(0, 1, 1), heads.k.narrow(0, 1, 1), heads.v.narrow(0, 1, 1)};
    EXPECT_TRUE(at::equal(together.narrow(0, 1, 1), pattern.attend(second, {rotary, {}})));
  });
}

void expect_the_mask_of_the_paper(const Shape& shape, int64_t full_heads) {
  SCOPED_TRACE(fmt::format("T={} H={}, {} in full", shape.seq_len, shape.query_heads, full_heads));
  ShiftedSparseAttention pattern;
  Diagnostics diagnostics;
  Json options{{"group_size", 6}, {"full_heads", full_heads}};
  Fields fields(options, diagnostics);
  pattern.read(fields);
  Rotary rotary = unscaled_rotary(shape, at::kDouble);
  Heads heads = random_heads(shape, at::kDouble);
  at::Tensor visible = shifted_sparse_mask(shape.query_heads, shape.seq_len, 6, full_heads)
                           .unsqueeze(0)
                           .expand({shape.rows, -1, -1, -1});
  at::Tensor expected =
      masked_attention(rotary.rotate(heads.q), rotary.rotate(heads.k), heads.v, visible);
  at::Tensor actual = pattern.attend(heads, {rotary, {}});
  EXPECT_LT((actual - expected).abs().max().item<double>(), 1e-12);
  EXPECT_EQ(pattern.scored_pairs(shape.seq_len, shape.query_heads),
            visible[0].sum().item<int64_t>());
}

TEST(ShiftedSparse, EqualsTheMaskOfThePaper) {
  for (const Shape& shape : kShapes) {
    for (int64_t full_heads : {0, 2, 3, 9}) {
      if (full_heads <= shape.query_heads) expect_the_mask_of_the_paper(shape, full_heads);
    }
  }
}

/// visible[query, key] within `window` keys.
at::Tensor window_mask(int64_t seq_len, int64_t window) {
  at::Tensor query = at::arange(seq_len).unsqueeze(1), key = at::arange(seq_len);
  return key.le(query).logical_and(key.gt(query - window));
}

TEST(AttentionPatterns, SeeNoFurtherThanTheSlidingWindow) {
  for (const Shape& shape : kShapes) {
    Rotary rotary = unscaled_rotary(shape, at::kDouble);
    Heads heads = random_heads(shape, at::kDouble);
    at::Tensor q = rotary.rotate(heads.q), k = rotary.rotate(heads.k);
    at::Tensor documents = at::arange(shape.seq_len, at::kLong).div(11, "floor").unsqueeze(0);
    documents = documents.expand({shape.rows, -1});
    at::Tensor together = documents.unsqueeze(2).eq(documents.unsqueeze(1)).unsqueeze(1);
    for (int64_t window : {1, 4, 9, 1000}) {
      AttentionContext context{rotary, documents, nullptr, window};
      at::Tensor in_window = window_mask(shape.seq_len, window).logical_and(together);
      at::Tensor full = make_attention_pattern("full")->attend(heads, context);
      at::Tensor expected = masked_attention(q, k, heads.v, in_window);
      EXPECT_LT((full - expected).abs().max().item<double>(), 1e-12) << window;

      Diagnostics diagnostics;
      Json options{{"pattern", "shifted_sparse"}, {"group_size", 6}};
      at::Tensor sparse =
          read_attention_pattern(Fields(options, diagnostics))->attend(heads, context);
      at::Tensor groups = shifted_sparse_mask(shape.query_heads, shape.seq_len, 6);
      expected = masked_attention(q, k, heads.v, in_window.logical_and(groups));
      EXPECT_LT((sparse - expected).abs().max().item<double>(), 1e-12) << window;
    }
  }
}

TEST(ShiftedSparse, TakesTheGroupAsAPartOfTheLength) {
  ShiftedSparseAttention pattern;  // LongLoRA's quarter
  EXPECT_EQ(pattern.group_size(8192), 2048);
  EXPECT_EQ(pattern.group_size(3), 2);
  const auto with = [](const Json& keys) {
    Diagnostics diagnostics;
    ShiftedSparseAttention read;
    Fields fields(keys, diagnostics);
    read.read(fields);
    diagnostics.throw_if_any(ExitCode::kRecipe);
    return read.group_size(8192);
  };
  EXPECT_EQ(with({{"group_ratio", 0.125}}), 1024);
  EXPECT_EQ(with({{"group_size", 512}}), 512);
  EXPECT_THROW(with({{"group_ratio", 0.125}, {"group_size", 512}}), Error);
  EXPECT_THROW(with({{"group_ratio", 0}}), Error);
}

TEST(SlidingWindow, EqualsTheMaskOfThePaper) {
  for (const Shape& shape : kShapes) {
    Rotary rotary = unscaled_rotary(shape, at::kDouble);
    Heads heads = random_heads(shape, at::kDouble);
    at::Tensor q = rotary.rotate(heads.q), k = rotary.rotate(heads.k);
    at::Tensor token = at::arange(shape.seq_len, at::kLong);
    for (auto [window, sinks] : {std::pair{1, 0}, {1, 3}, {4, 2}, {9, 1000}, {1000, 4}}) {
      auto pattern = sliding_window_pattern(window, sinks);
      SCOPED_TRACE(fmt::format("T={} {}", shape.seq_len, pattern->write().dump()));
      at::Tensor causal = token.le(token.unsqueeze(1));
      at::Tensor visible =
          window_mask(shape.seq_len, window).logical_or(token.lt(sinks).logical_and(causal));
      at::Tensor expected = masked_attention(q, k, heads.v, visible);
      at::Tensor actual = pattern->attend(heads, {rotary, {}});
      EXPECT_LT((actual - expected).abs().max().item<double>(), 1e-12);
      EXPECT_EQ(pattern->scored_pairs(shape.seq_len, 3), 3 * visible.sum().item<int64_t>());
    }
  }
}

TEST(SlidingWindow, KeepsTheSinksOfEachDocument) {
  Shape shape{2, 9, 3, 129, 64};
  Rotary rotary = unscaled_rotary(shape, at::kDouble);
  Heads heads = random_heads(shape, at::kDouble);
  at::Tensor token = at::arange(shape.seq_len, at::kLong);
  at::Tensor document = token.div(11, "floor");
  at::Tensor near = window_mask(shape.seq_len, 4);
  at::Tensor sink = token.remainder(11).lt(3).logical_and(token.le(token.unsqueeze(1)));
  at::Tensor together = document.eq(document.unsqueeze(1));
  at::Tensor q = rotary.rotate(heads.q), k = rotary.rotate(heads.k);
  for (int64_t model_window : {0, 7}) {
    AttentionContext context{rotary, document.expand({2, -1}), nullptr, model_window};
    at::Tensor visible = near.logical_or(sink).logical_and(together);
    if (model_window > 0) visible = visible.logical_and(window_mask(shape.seq_len, model_window));
    at::Tensor actual = sliding_window_pattern(4, 3)->attend(heads, context);
    at::Tensor expected = masked_attention(q, k, heads.v, visible);
    EXPECT_LT((actual - expected).abs().max().item<double>(), 1e-12) << model_window;
  }
}

TEST(AttentionPatterns, ContinueFromTheCache) {
  Shape shape{1, 9, 3, 20, 8};
  Heads heads = random_heads(shape, at::kFloat);
  Rotary whole_rotary = unscaled_rotary(shape, at::kFloat);
  for (const auto& pattern : {make_attention_pattern("full"), sliding_window_pattern(6, 2),
                              sliding_window_pattern(1, 13)}) {
    for (int64_t window : {0, 1, 5, 30}) {
      at::Tensor whole = pattern->attend(heads, {whole_rotary, {}, nullptr, window});
      auto state = pattern->make_state(/*layer=*/0);
      for (auto [begin, tokens] : {std::pair<int64_t, int64_t>{0, 11}, {11, 1}, {12, 8}}) {
        Rotary rotary({unscaled_inv_freq({8, 10000.0, 64}), 1.0},
                      at::arange(begin, begin + tokens, at::kLong).unsqueeze(0), at::kFloat);
        Heads part{heads.q.narrow(2, begin, tokens), heads.k.narrow(2, begin, tokens),
                   heads.v.narrow(2, begin, tokens)};
        at::Tensor out = pattern->attend(part, {.rotary = rotary,
                                                .document_ids = {},
                                                .state = state.get(),
                                                .sliding_window = window,
                                                .first_position = begin});
        state->commit();
        EXPECT_LT(largest(out - whole.narrow(2, begin, tokens)),
                  float32_bound(whole, shape.head_dim + shape.seq_len))
            << begin;
      }
      EXPECT_EQ(state->length(), 20);
    }
  }
}

TEST(AttentionPatterns, RefuseUnknownKeysAndNames) {
  Diagnostics diagnostics;
  Json unknown{{"pattern", "full"}, {"group_size", 4}};
  read_attention_pattern(Fields(unknown, diagnostics, "attention"));
  Json misspelt{{"pattern", "shifted_spars"}};
  read_attention_pattern(Fields(misspelt, diagnostics, "attention"));
  ASSERT_EQ(diagnostics.errors().size(), 2u);
  EXPECT_NE(diagnostics.errors()[0].find("attention.group_size"), std::string::npos);
  EXPECT_NE(diagnostics.errors()[1].find("shifted_sparse"), std::string::npos);
}

}  // namespace
}  // namespace longspan
