#include "src/nn/quantized_weight.h"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "src/core/error.h"

namespace longspan {
namespace {

at::Tensor random_weight(at::IntArrayRef sizes, at::ScalarType dtype) {
  at::manual_seed(5);
  return at::randn(sizes).to(dtype);
}

class QuantizedWeightOf : public testing::TestWithParam<std::tuple<Quantization, at::ScalarType>> {
 protected:
  Quantization kind() const { return std::get<0>(GetParam()); }
  at::ScalarType dtype() const { return std::get<1>(GetParam()); }
};

TEST_P(QuantizedWeightOf, BecomesShapeAndDtypeAgain) {
  auto quantized = quantize_weight(random_weight({24, 72}, dtype()), kind());
  EXPECT_EQ(quantized->sizes(), (std::array<int64_t, 2>{24, 72}));
  EXPECT_EQ(quantized->dtype(), dtype());
  at::Tensor dense = quantized->dequantize();
  EXPECT_EQ(dense.sizes(), at::IntArrayRef({24, 72}));
  EXPECT_EQ(dense.scalar_type(), dtype());
}

TEST_P(QuantizedWeightOf, TakesTheBytesThatAreForeseen) {
  // 24 x 72: 27 blocks of NF4; 1000 x 128: 2000 blocks in 8 blocks of scales.
  for (auto [rows, columns] : {std::pair<int64_t, int64_t>{24, 72}, {1000, 128}}) {
    auto quantized = quantize_weight(random_weight({rows, columns}, dtype()), kind());
    EXPECT_EQ(quantized->bytes(), quantized_bytes(rows, columns, dtype(), kind()));
  }
}

TEST_P(QuantizedWeightOf, FillsTheScratchItIsGiven) {
  auto quantized = quantize_weight(random_weight({24, 72}, dtype()), kind());
  at::Tensor scratch = at::empty({24, 72}, dtype()).fill_(7);
  at::Tensor dense = quantized->dequantize(scratch);
  EXPECT_EQ(dense.const_data_ptr(), scratch.const_data_ptr());
  EXPECT_TRUE(scratch.equal(quantized->dequantize()));
}

TEST_P(QuantizedWeightOf, KeepsAWeightOfZeros) {
  at::Tensor zeros = at::empty({8, 64}, dtype()).zero_();
  at::Tensor dense = quantize_weight(zeros, kind())->dequantize();
  // NF4's double quantisation may leave the scale of a zero block, but 0 is in its codebook.
  EXPECT_TRUE(dense.equal(zeros));
}

INSTANTIATE_TEST_SUITE_P(KindsAndDtypes, QuantizedWeightOf,
                         testing::Combine(testing::Values(Quantization::kNf4, Quantization::kInt8),
                                          testing::Values(at::kFloat, at::kBFloat16)),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param) == Quantization::kNf4
                                                  ? "Nf4"
                                                  : "Int8") +
                                  c10::toString(std::get<1>(info.param));
                         });

TEST(QuantizedWeight, KnowsTheNamesOfRecipes) {
  EXPECT_EQ(quantization_named("none"), Quantization::kNone);
  EXPECT_EQ(quantization_named("nf4"), Quantization::kNf4);
  EXPECT_EQ(quantization_named("int8"), Quantization::kInt8);
  EXPECT_EQ(quantization_named("fp4"), std::nullopt);
}

TEST(QuantizedWeight, HasNothingToDoForNone) {
  EXPECT_THROW(quantize_weight(random_weight({8, 64}, at::kFloat), Quantization::kNone), Error);
  EXPECT_EQ(quantized_bytes(8, 64, at::kBFloat16, Quantization::kNone), 1024);
}

}  // namespace
}  // namespace longspan
