#include "src/model/context_length.h"

#include <gmock/gmock.h>

namespace longspan {
namespace {

using testing::AllOf;
using testing::HasSubstr;

ModelConfig config_of(int64_t max_position_embeddings, const Json& rope) {
  ModelConfig config;
  config.max_position_embeddings = max_position_embeddings;
  Diagnostics diagnostics;
  config.rope_scaling = read_rope_scaling(Fields(rope, diagnostics));
  diagnostics.throw_if_any(ExitCode::kModel);
  return config;
}

std::pair<int64_t, int64_t> lengths_of(const ModelConfig& config) {
  const ContextLength length = context_length(config);
  return {length.original, length.usable};
}

Json yarn_of(int64_t original) {
  return {{"rope_type", "yarn"}, {"factor", 4}, {"original_max_position_embeddings", original}};
}

TEST(ContextLength, OfAnUnscaledModelIsMaxPositionEmbeddings) {
  EXPECT_EQ(lengths_of(config_of(8192, {{"rope_type", "default"}})), std::pair(8192L, 8192L));
}

TEST(ContextLength, YarnBesideTheOriginalLengthReachesFurther) {
  for (int64_t stated : {32768, 40960}) {  // Qwen2.5's and Qwen3's
    EXPECT_EQ(lengths_of(config_of(stated, yarn_of(32768))), std::pair(32768L, 131072L));
  }
  EXPECT_EQ(lengths_of(config_of(131072, yarn_of(32768))), std::pair(32768L, 131072L));
}

TEST(ContextLength, Llama3StatesItBesideItsFactor) {
  for (const int factor : {8, 32}) {  // Llama 3.1's and 3.2's
    const Json llama3{
        {"rope_type", "llama3"}, {"factor", factor}, {"original_max_position_embeddings", 8192}};
    EXPECT_EQ(lengths_of(config_of(131072, llama3)), std::pair(8192L, 131072L));
    EXPECT_EQ(lengths_of(config_of(8192, llama3)), std::pair(8192L, 8192L * factor));
  }
}

TEST(ContextLength, DynamicKeepsMaxPositionEmbeddingsAtTheOriginal) {
  Json dynamic{{"rope_type", "dynamic"}, {"factor", 4}};
  ModelConfig config = config_of(8192, dynamic);
  EXPECT_EQ(lengths_of(config), std::pair(8192L, 32768L));
  EXPECT_FALSE(other_context_length(config));
}

TEST(ContextLength, LinearIsReadByTheOriginalLengthThatIsSaid) {
  ModelConfig config = config_of(4096, {{"rope_type", "linear"}, {"factor", 2}});
  config.original_max_position_embeddings = 4096;
  EXPECT_EQ(lengths_of(config), std::pair(4096L, 8192L));
  config.original_max_position_embeddings = 2048;
  EXPECT_EQ(lengths_of(config), std::pair(2048L, 4096L));
  EXPECT_FALSE(other_context_length(config));
}

TEST(ContextLength, LinearHasTwoReadingsWhereNothingSaysWhich) {
  ModelConfig config = config_of(4096, {{"rope_type", "linear"}, {"factor", 2}});
  EXPECT_EQ(lengths_of(config), std::pair(2048L, 4096L));
  auto other = other_context_length(config);
  ASSERT_TRUE(other);
  EXPECT_EQ(std::pair(other->original, other->usable), std::pair(4096L, 8192L));
  EXPECT_THAT(ask_for_original_length(config, *other),
              AllOf(HasSubstr("4096 beside RoPE linear x2 may be the extended length (original "
                              "2048, extended 4096) or the original one (extended 8192)"),
                    HasSubstr("\"original_max_position_embeddings\": 2048 or 4096")));
  ModelConfig by_one = config_of(4096, {{"rope_type", "linear"}, {"factor", 1}});
  EXPECT_FALSE(other_context_length(by_one));
}

}  // namespace
}  // namespace longspan
