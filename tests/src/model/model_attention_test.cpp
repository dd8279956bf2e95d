#include "src/model/model_attention.h"

#include <gtest/gtest.h>

#include "tests/support/tiny_llama.h"

namespace longspan {
namespace {

/// Of a model of 2 layers and 9 heads.
std::string described(const Json& keys) {
  Diagnostics diagnostics;
  const auto pattern = read_attention_pattern(Fields(keys, diagnostics));
  diagnostics.throw_if_any(ExitCode::kFailure);
  return describe_attention(*pattern, tiny_llama_config());
}

Json sparse_with(const Json& keys) {
  Json all = {{"pattern", "shifted_sparse"}};
  all.update(keys);
  return all;
}

TEST(ModelAttention, APatternOfTheWholeModelIsItsName) {
  for (const std::string& name : attention_patterns()) {
    EXPECT_EQ(described({{"pattern", name}}), name);
  }
  EXPECT_EQ(described(sparse_with({{"layers", {0, 1}}, {"full_heads", 0}})), "shifted_sparse");
}

TEST(ModelAttention, SaysInWhichPartOfTheModelGroupsAre) {
  EXPECT_EQ(described(sparse_with({{"layers", {1}}})), "shifted_sparse in 1 of 2 layers");
  EXPECT_EQ(described(sparse_with({{"layers", Json::array()}})), "shifted_sparse in 0 of 2 layers");
  EXPECT_EQ(described(sparse_with({{"full_heads", 3}})), "shifted_sparse in 6 of 9 heads");
  EXPECT_EQ(described(sparse_with({{"layers", {0}}, {"full_heads", 3}})),
            "shifted_sparse in 6 of 9 heads of 1 of 2 layers");
}

}  // namespace
}  // namespace longspan
