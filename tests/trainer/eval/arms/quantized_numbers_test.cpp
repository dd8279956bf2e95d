#include "trainer/eval/arms/quantized_numbers.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "tests/support/largest.h"

namespace longspan {
namespace {

at::Tensor random_numbers(at::IntArrayRef sizes) {
  at::manual_seed(sizes[0]);
  return at::randn(sizes);
}

/// By the formulas of ggml's quantize_row_q8_0_ref and quantize_row_q4_0_ref.
TEST(QuantizedNumbers, AreThoseOfLlamaCppsBlocks) {
  at::Tensor x = at::zeros({64});
  x[0] = 1.27, x[1] = -0.634, x[2] = 0.0049, x[32] = -8, x[33] = 3.4, x[34] = 7.9, x[35] = 0.51;
  const auto eight = quantize_numbers(x, 8);
  EXPECT_EQ(eight.codes[0].item<int64_t>(), 127);
  EXPECT_EQ(eight.codes[1].item<int64_t>(), -63);
  EXPECT_EQ(eight.codes[2].item<int64_t>(), 0);
  const at::Tensor four = dequantize_numbers(quantize_numbers(x, 4), 4, at::kFloat);
  // Scale -8 / -8 = 1: codes 0, 11, 15 (cut off) and 9.
  EXPECT_EQ(four[32].item<float>(), -8);
  EXPECT_EQ(four[33].item<float>(), 3);
  EXPECT_EQ(four[34].item<float>(), 7);
  EXPECT_EQ(four[35].item<float>(), 1);
}

TEST(QuantizedNumbers, AreOffByHalfAStepAndTakeSoManyBits) {
  const at::Tensor x = random_numbers({1, 3, 50, 64});
  const auto largest_of_block = x.unflatten(-1, {2, 32}).abs().amax(-1, true);
  for (int64_t bits : {8, 4}) {
    const auto numbers = quantize_numbers(x, bits);
    const at::Tensor error =
        (dequantize_numbers(numbers, bits, at::kFloat) - x).unflatten(-1, {2, 32}).abs();
    // Half a step of the scale; q4_0 has no code for the other end of its range.
    const double steps = bits == 8 ? 0.51 / 127 : 1.01 / 8;
    EXPECT_TRUE((error <= largest_of_block * steps).all().item<bool>()) << bits;
    EXPECT_EQ(numbers.bytes(), x.numel() / 32 * (bits == 8 ? 34 : 18));
  }
}

TEST(QuantizedNumbers, HoldNothingButZeroWhereThatIsAll) {
  for (int64_t bits : {8, 4}) {
    const at::Tensor x = at::zeros({2, 64});
    EXPECT_TRUE(at::equal(dequantize_numbers(quantize_numbers(x, bits), bits, at::kFloat), x));
  }
  const at::Tensor odd = random_numbers({1, 3, 3, 8});  // one block of 8
  const at::Tensor back = dequantize_numbers(quantize_numbers(odd, 8), 8, at::kFloat);
  EXPECT_LE(largest(back - odd), 0.51 / 127 * largest(odd));
}

/// code x scale in float32 by LibTorch, then rounded once to the dtype.
at::Tensor by_formula(const QuantizedNumbers& numbers, int64_t bits, at::ScalarType dtype) {
  const at::Tensor scales = numbers.scales.to(at::kFloat).unsqueeze(-1);
  at::Tensor codes = numbers.codes.unflatten(-1, {scales.size(-2), -1});
  if (bits == 4) codes = at::cat({codes.bitwise_and(15), codes.bitwise_right_shift(4)}, -1);
  const at::Tensor numbers_of_codes = codes.to(at::kFloat) - (bits == 4 ? 8 : 0);
  return (numbers_of_codes * scales).flatten(-2).to(dtype);
}

/// To the bit, in every layout that a cache has: heads apart in memory, tokens apart, one row.
TEST(QuantizedNumbers, AreTheSameByEveryWayBack) {
  const at::Tensor x = random_numbers({1, 3, 700, 64});
  for (const int64_t bits : {8, 4}) {
    const QuantizedNumbers whole = quantize_numbers(x, bits);
    const auto part = [&](int64_t begin, int64_t tokens) {
      return QuantizedNumbers{whole.codes.narrow(2, begin, tokens),
                              whole.scales.narrow(2, begin, tokens)};
    };
    const QuantizedNumbers by_token =
        quantize_numbers(x.transpose(1, 2).contiguous().transpose(1, 2), bits);
    for (const auto dtype : {at::kFloat, at::kBFloat16, at::kHalf}) {
      for (const QuantizedNumbers& numbers : {whole, part(3, 650), part(699, 1), by_token}) {
        const at::Tensor back = dequantize_numbers(numbers, bits, dtype);
        EXPECT_EQ(back.scalar_type(), dtype);
        EXPECT_TRUE(at::equal(back, by_formula(numbers, bits, dtype))) << bits;
      }
      const QuantizedNumbers row = quantize_numbers(x[0][0][0], bits);
      EXPECT_TRUE(at::equal(dequantize_numbers(row, bits, dtype), by_formula(row, bits, dtype)));
    }
  }
}

}  // namespace
}  // namespace longspan
