#include "src/attention/shifted_sparse.h"

#include <gmock/gmock.h>

namespace longspan {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Json in_layers(const Json& layers) {
  return {{"pattern", "shifted_sparse"}, {"group_size", 4}, {"layers", layers}};
}

Json with_full_heads(int64_t heads) {
  return {{"pattern", "shifted_sparse"}, {"group_size", 4}, {"full_heads", heads}};
}

std::shared_ptr<ShiftedSparseAttention> shifted_sparse_of(const Json& keys) {
  Diagnostics diagnostics;
  auto pattern = read_attention_pattern(Fields(keys, diagnostics));
  EXPECT_TRUE(diagnostics.empty());
  return std::dynamic_pointer_cast<ShiftedSparseAttention>(pattern);
}

TEST(ShiftedSparseLayers, ThoseInGroupsScoreTheirGroupsAndTheOthersAll) {
  const auto pattern = shifted_sparse_of(in_layers({1}));
  // Of 10 tokens one head has groups of 4, 4 and 2, the other of 2, 4 and 4.
  const int64_t grouped = 2 * (10 + 10 + 3), all = 2 * 55;
  EXPECT_EQ(pattern->scored_pairs(10, 2), grouped);
  EXPECT_EQ(pattern->read_pairs(0, 10, 2), all);
  EXPECT_EQ(pattern->read_pairs(1, 10, 2), grouped);
  EXPECT_EQ(pattern->trained_pairs(0, 3, 10, 2), 3 * all);
  EXPECT_EQ(pattern->trained_pairs(1, 3, 10, 2), 3 * grouped);
  EXPECT_EQ(shifted_sparse_of(in_layers(nullptr))->read_pairs(0, 10, 2), grouped);
  EXPECT_EQ(shifted_sparse_of(in_layers(Json::array()))->read_pairs(1, 10, 2), all);
}

TEST(ShiftedSparseLayers, AreWrittenAsTheyWereRead) {
  for (const Json& layers : {Json::array(), Json::array({0, 2})}) {
    const Json keys = in_layers(layers);
    EXPECT_EQ(write_attention_pattern(*shifted_sparse_of(keys)), keys);
  }
  EXPECT_FALSE(write_attention_pattern(*shifted_sparse_of(in_layers(nullptr))).contains("layers"));
}

TEST(ShiftedSparseLayers, SuitAModelThatHasThem) {
  EXPECT_EQ(shifted_sparse_of(in_layers({0, 2}))->misfit(3, 9), "");
  EXPECT_EQ(shifted_sparse_of(in_layers({0, 2}))->misfit(2, 9),
            "layers has 2, and the model's layers are 0 to 1");
  EXPECT_EQ(shifted_sparse_of(in_layers(nullptr))->misfit(1, 9), "");
}

TEST(ShiftedSparse, SaysInWhichPartOfTheModelGroupsAre) {
  const auto described = [](const Json& keys) { return shifted_sparse_of(keys)->describe(2, 9); };
  EXPECT_EQ(described(in_layers({0, 1})), "shifted_sparse");
  EXPECT_EQ(described(in_layers({1})), "shifted_sparse in 1 of 2 layers");
  EXPECT_EQ(described(in_layers(Json::array())), "shifted_sparse in 0 of 2 layers");
  EXPECT_EQ(described(with_full_heads(3)), "shifted_sparse in 6 of 9 heads");
  Json both = in_layers({0});
  both.update(with_full_heads(3));
  EXPECT_EQ(described(both), "shifted_sparse in 6 of 9 heads of 1 of 2 layers");
}

TEST(ShiftedSparseLayers, WhatIsNoListOfLayersIsNamed) {
  const auto errors = [](const Json& layers) {
    Diagnostics diagnostics;
    const Json keys = in_layers(layers);
    read_attention_pattern(Fields(keys, diagnostics, "attention"));
    return diagnostics.errors();
  };
  EXPECT_THAT(errors({-1}), ElementsAre(HasSubstr("attention.layers: -1 is no layer")));
  EXPECT_THAT(errors({1, 1}), ElementsAre(HasSubstr("attention.layers: 1 stands twice")));
  EXPECT_THAT(errors(1), ElementsAre(HasSubstr("attention.layers: expected a list in brackets")));
  EXPECT_THAT(errors({0.5}), ElementsAre(HasSubstr("attention.layers.0: expected a whole number")));
}

TEST(ShiftedSparseHeads, ThoseInFullScoreAllAndHalfOfTheOthersAreShifted) {
  // Of 10 tokens a head in groups scores 10 + 10 + 3, a shifted one 3 + 10 + 10.
  constexpr int64_t kAll = 55, kGrouped = 23;
  EXPECT_EQ(shifted_sparse_of(with_full_heads(3))->read_pairs(0, 10, 9), 3 * kAll + 6 * kGrouped);
  EXPECT_EQ(shifted_sparse_of(with_full_heads(3))->trained_pairs(1, 2, 10, 9),
            2 * (3 * kAll + 6 * kGrouped));
  EXPECT_EQ(shifted_sparse_of(with_full_heads(9))->scored_pairs(10, 9), 9 * kAll);
  // Where a plan measures fewer heads than the model has.
  EXPECT_EQ(shifted_sparse_of(with_full_heads(3))->scored_pairs(10, 2), 2 * kAll);
}

TEST(ShiftedSparseHeads, AreWrittenAsTheyWereReadWhereThereAreSome) {
  EXPECT_EQ(write_attention_pattern(*shifted_sparse_of(with_full_heads(3))), with_full_heads(3));
  EXPECT_FALSE(
      write_attention_pattern(*shifted_sparse_of(with_full_heads(0))).contains("full_heads"));
}

TEST(ShiftedSparseHeads, SuitAModelThatHasThem) {
  EXPECT_EQ(shifted_sparse_of(with_full_heads(9))->misfit(30, 9), "");
  EXPECT_EQ(shifted_sparse_of(with_full_heads(10))->misfit(30, 9),
            "full_heads is 10, and the model has 9 query heads");
}

}  // namespace
}  // namespace longspan
