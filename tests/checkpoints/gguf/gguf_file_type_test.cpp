#include "checkpoints/gguf/gguf_file_type.h"

#include <gmock/gmock.h>

#include "tests/checkpoints/temporary_folder.h"

namespace longspan {
namespace {

using testing::HasSubstr;

/// The types of `name` in each of `layers` layers under Q4_K_M.
std::string types_by_layer(const char* name, int64_t layers, int64_t row, bool is_70b = false) {
  GgufModelShape model{layers, true, is_70b};
  std::string types;
  for (int64_t i = 0; i < layers; ++i) {
    types += gguf_tensor_type(find_gguf_file_type("Q4_K_M", ""),
                              fmt::format("blk.{}.{}.weight", i, name), {64, row}, model)
                 .name;
    types += ' ';
  }
  return types;
}

std::string_view type_of(const char* file_type, const char* name, int64_t row, bool tied = true) {
  return gguf_tensor_type(find_gguf_file_type(file_type, ""), name, {64, row}, {30, tied, false})
      .name;
}

TEST(GgufFileType, KeepsVectorsAndNormsInFloat) {
  const GgufFileType& q8 = find_gguf_file_type("q8_0", "");
  EXPECT_EQ(gguf_tensor_type(q8, "blk.0.attn_q.bias", {64}, {}).name, "F32");
  EXPECT_EQ(gguf_tensor_type(q8, "output_norm.weight", {64}, {}).name, "F32");
  EXPECT_EQ(gguf_tensor_type(q8, "blk.0.attn_q.weight", {64, 64}, {}).name, "Q8_0");
  EXPECT_EQ(
      gguf_tensor_type(find_gguf_file_type("BF16", ""), "token_embd.weight", {64, 63}, {}).name,
      "BF16");
}

// llama-quant.cpp: use_more_bits(i, n) = i < n/8 || i >= 7n/8 || (i - n/8) % 3 == 2.
TEST(GgufFileType, GivesMoreBitsToTheLayersThatLlamaCppGivesThemTo) {
  EXPECT_EQ(types_by_layer("ffn_down", 8, 256), "Q6_K Q4_K Q4_K Q6_K Q4_K Q4_K Q6_K Q6_K ");
  EXPECT_EQ(types_by_layer("attn_v", 8, 256), "Q6_K Q4_K Q4_K Q6_K Q4_K Q4_K Q6_K Q6_K ");
  EXPECT_EQ(types_by_layer("attn_k", 3, 256), "Q4_K Q4_K Q4_K ");
  EXPECT_EQ(types_by_layer("attn_v", 3, 256, true), "Q5_K Q5_K Q6_K ");
}

TEST(GgufFileType, FallsBackWhereRowsAreNoMultipleOfTheBlock) {
  EXPECT_EQ(type_of("Q4_K_M", "blk.9.attn_q.weight", 576), "Q5_0");
  EXPECT_EQ(type_of("Q4_K_M", "blk.0.ffn_down.weight", 576), "Q8_0");
  EXPECT_EQ(type_of("Q4_K_M", "token_embd.weight", 576), "Q8_0");
  EXPECT_EQ(type_of("Q4_0", "token_embd.weight", 576), "Q8_0");
  EXPECT_EQ(type_of("Q4_0", "token_embd.weight", 512), "Q6_K");
  EXPECT_EQ(type_of("Q4_0", "token_embd.weight", 512, false), "Q4_0");
  EXPECT_EQ(type_of("Q4_0", "output.weight", 512, false), "Q6_K");
  EXPECT_EQ(type_of("Q4_0", "blk.0.attn_q.weight", 40), "F16");
}

TEST(GgufFileType, NamesTheTypesThereAre) {
  EXPECT_THAT(error_of([] { find_gguf_file_type("Q3_K", "--type"); }, ExitCode::kUsage),
              HasSubstr("--type: 'Q3_K' is no GGUF type; expected F32, F16, BF16, Q8_0"));
}

}  // namespace
}  // namespace longspan
