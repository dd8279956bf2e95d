#include "data/tokenizers/byte_pair_merges.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <utility>
#include <vector>

namespace longspan {
namespace {

using Ids = std::vector<int32_t>;

TEST(BytePairMerges, TakesTheLowestRankThenTheLeftmost) {
  BytePairMerges merges;
  merges.add(1, 2, 1, 12);
  merges.add(2, 3, 0, 23);
  merges.add(4, 4, 2, 44);
  Ids symbols{1, 2, 3, 4, 4, 4};
  merges.apply(symbols);
  EXPECT_EQ(symbols, (Ids{1, 23, 44, 4}));
}

TEST(BytePairMerges, GivesTheSameForWordsOfAnyLength) {
  // Independent of both ways in use: one merge at a time, found by looking at all pairs.
  std::mt19937 draw(1);
  BytePairMerges merges;
  std::map<std::pair<int32_t, int32_t>, std::pair<int32_t, int32_t>> table;
  for (int32_t rank = 0; rank < 40; ++rank) {
    int32_t left = static_cast<int32_t>(draw() % static_cast<unsigned>(3 + rank));
    int32_t right = static_cast<int32_t>(draw() % static_cast<unsigned>(3 + rank));
    if (table.contains({left, right})) continue;
    table[{left, right}] = {rank, 3 + rank};
    merges.add(left, right, rank, 3 + rank);
  }
  for (size_t size = 0; size < 200; size += 3) {
    Ids symbols(size);
    for (auto& symbol : symbols) symbol = static_cast<int32_t>(draw() % 3);
    Ids expected = symbols;
    for (;;) {
      size_t best = expected.size();
      int32_t rank = INT32_MAX;
      for (size_t i = 0; i + 1 < expected.size(); ++i) {
        auto found = table.find({expected[i], expected[i + 1]});
        if (found != table.end() && found->second.first < rank) {
          rank = found->second.first;
          best = i;
        }
      }
      if (best == expected.size()) break;
      expected[best] = table[{expected[best], expected[best + 1]}].second;
      expected.erase(expected.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    }
    merges.apply(symbols);
    ASSERT_EQ(symbols, expected) << size;
  }
}

}  // namespace
}  // namespace longspan
