#include "src/attention/memory_search.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/support/largest.h"
#include "tests/support/masked_attention.h"

namespace longspan {
namespace {

constexpr int64_t kRows = 2, kQueryHeads = 6, kKeyValueHeads = 2, kDimensions = 16;
constexpr int64_t kPageTokens = 8;

/// Blocks of these many tokens, whose keys lie around a centre a page, as those of a text do around
/// what it speaks of.
struct RememberedText {
  at::Tensor k, v;  // [B, Hkv, T, D]
  MemoryBlocks blocks;
  PageIndex index{kPageTokens};

  explicit RememberedText(const std::vector<int64_t>& sizes) {
    at::manual_seed(11);
    std::vector<at::Tensor> keys, values;
    for (const int64_t tokens : sizes) {
      const int64_t pages = (tokens + kPageTokens - 1) / kPageTokens;
      const at::Tensor centres = at::randn({kRows, kKeyValueHeads, pages, kDimensions}) * 2;
      const at::Tensor block = centres.repeat_interleave(kPageTokens, 2).narrow(2, 0, tokens) +
                               0.5 * at::randn({kRows, kKeyValueHeads, tokens, kDimensions});
      keys.push_back(block);
      values.push_back(at::randn({kRows, kKeyValueHeads, tokens, kDimensions}));
      blocks.push_back(std::make_shared<const MemoryBlock>(
          KeysAndValues{keys.back(), values.back()}, MemDtype::kFloat32));
      index = index.with(*blocks.back());
    }
    k = at::cat(keys, 2);
    v = at::cat(values, 2);
  }
};

at::Tensor random_queries(int64_t tokens) {
  at::manual_seed(12);
  return at::randn({kRows, kQueryHeads, tokens, kDimensions});
}

at::Tensor all_scores(const at::Tensor& q, const RememberedText& text) {
  return at::matmul(q, text.k.repeat_interleave(kQueryHeads / kKeyValueHeads, 1).transpose(2, 3));
}

TEST(PageIndex, BoundsEveryScoreOfAPage) {
  const RememberedText text({20, 16, 5});
  ASSERT_EQ(text.index.pages().size(), 3u + 2 + 1);  // a page ends with its block
  const at::Tensor q = random_queries(7), scores = all_scores(q, text);
  const at::Tensor bounds = text.index.bounds(q);
  int64_t first = 0;
  for (size_t page = 0; page < text.index.pages().size(); ++page) {
    const int64_t tokens = text.index.pages()[page].tokens;
    const at::Tensor best = scores.narrow(3, first, tokens).amax(3);
    EXPECT_TRUE((bounds.select(3, static_cast<int64_t>(page)) >= best - 1e-4).all().item<bool>());
    first += tokens;
  }
  EXPECT_EQ(first, 41);
}

TEST(PageIndex, FindsAllPagesWhereThereAreNoMore) {
  const RememberedText text({20, 16, 5});
  const at::Tensor found = text.index.find(random_queries(1), 100);
  EXPECT_EQ(found.sizes(), (at::IntArrayRef{kRows, kKeyValueHeads, 6}));
  for (int64_t page = 0; page < 6; ++page) {
    EXPECT_TRUE(found.select(2, page).eq(page).all().item<bool>());
  }
}

TEST(FoundPages, AllOfThemAreDenseAttention) {
  const RememberedText text({20, 16, 5});
  for (const int64_t tokens : {1, 70}) {
    const at::Tensor q = random_queries(tokens);
    const AttentionResult out = attend_found_pages(q, text.blocks, text.index, 6);
    const at::Tensor visible = at::ones({kRows, kQueryHeads, tokens, 41}, at::kBool);
    EXPECT_LT(largest(out.out - masked_attention(q, text.k, text.v, visible)), 1e-5);
    const at::Tensor scores = all_scores(q, text) / 4;  // sqrt(16)
    EXPECT_LT(largest(out.log_sum_exp - scores.logsumexp(-1)), 1e-5);
  }
}

/// Of a short pass each query's own pages, of a long one those of the 64 queries up to the first of
/// each 64.
TEST(FoundPages, AreAttendedToExactly) {
  const RememberedText text({20, 16, 5});
  const std::vector<std::pair<int64_t, int64_t>> pages{{0, 8},  {8, 8},  {16, 4},
                                                       {20, 8}, {28, 8}, {36, 5}};
  for (const int64_t tokens : {1, 9, 150}) {
    const at::Tensor q = random_queries(tokens);
    at::Tensor visible = at::zeros({kRows, kQueryHeads, tokens, 41}, at::kBool);
    for (int64_t t = 0; t < tokens; ++t) {
      const int64_t last = tokens <= 64 ? t : t / 64 * 64;
      const int64_t begin = tokens <= 64 ? t : std::max<int64_t>(0, last - 63);
      const at::Tensor found = text.index.find(q.narrow(2, begin, last + 1 - begin), 2);
      for (int64_t row = 0; row < kRows; ++row) {
        for (int64_t head = 0; head < kQueryHeads; ++head) {
          for (int64_t i = 0; i < 2; ++i) {
            const auto [first, size] = pages[found[row][head / 3][i].item<int64_t>()];
            visible[row][head][t].narrow(0, first, size).fill_(true);
          }
        }
      }
    }
    const AttentionResult out = attend_found_pages(q, text.blocks, text.index, 2);
    EXPECT_LT(largest(out.out - masked_attention(q, text.k, text.v, visible)), 1e-5) << tokens;
  }
}

TEST(FoundPages, TellNothingOfLaterQueries) {
  const RememberedText text({20, 16, 5});
  for (const int64_t tokens : {9, 150}) {
    const at::Tensor q = random_queries(tokens);
    const at::Tensor before = attend_found_pages(q, text.blocks, text.index, 2).out;
    for (const int64_t place : {1, 5, 8, 64, 65, 100, 128}) {
      if (place >= tokens) continue;
      at::Tensor other = q.clone();
      other.narrow(2, place, tokens - place).fill_(3);
      const at::Tensor after = attend_found_pages(other, text.blocks, text.index, 2).out;
      EXPECT_EQ(largest((after - before).narrow(2, 0, place)), 0) << place << " of " << tokens;
    }
  }
}

/// The share of the pages with the best key for a query that are found: it grows with their number,
/// and where pages differ, few are needed.
TEST(PageIndex, FindsThePagesOfTheBestKeys) {
  const RememberedText text({512, 512});
  const at::Tensor q = random_queries(1).narrow(1, 0, kKeyValueHeads);  // a query a key/value head
  const at::Tensor scores = at::matmul(q, text.k.transpose(2, 3)).squeeze(2);
  const at::Tensor best = std::get<1>(scores.unflatten(2, {-1, kPageTokens}).amax(3).topk(4, -1));
  double before = 0;
  for (const int64_t count : {4, 16, 64, 128}) {
    const at::Tensor found = text.index.find(q, count);
    const at::Tensor hit = best.unsqueeze(3).eq(found.unsqueeze(2)).any(3);
    const double recall = hit.to(at::kDouble).mean().item<double>();
    EXPECT_GE(recall, before) << count;
    before = recall;
    if (count >= 16) {
      EXPECT_GE(recall, 0.9);
    }
  }
  EXPECT_EQ(before, 1);
}

}  // namespace
}  // namespace longspan
