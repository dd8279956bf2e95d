#include "trainer/eval/arms/quantized_cache.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "tests/support/largest.h"

namespace longspan {
namespace {

at::Tensor random_heads(int64_t tokens, int64_t head_dim = 64) {
  at::manual_seed(tokens);
  return at::randn({1, 3, tokens, head_dim});
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
  const at::Tensor x = random_heads(50);
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
  const at::Tensor odd = random_heads(3, 8);  // one block of 8
  const at::Tensor back = dequantize_numbers(quantize_numbers(odd, 8), 8, at::kFloat);
  EXPECT_LE(largest(back - odd), 0.51 / 127 * largest(odd));
}

TEST(QuantizedCache, GivesTheSameHoweverATextIsCutIntoPasses) {
  const at::Tensor k = random_heads(9), v = random_heads(9) * 2;
  QuantizedCache whole(4), parts(4);
  const auto expected = whole.read(0, k, v);
  whole.commit();
  for (auto [begin, tokens] : {std::pair{0, 5}, {5, 1}, {6, 3}}) {
    const auto read = parts.read(begin, k.narrow(2, begin, tokens), v.narrow(2, begin, tokens));
    EXPECT_TRUE(at::equal(read.k, expected.k.narrow(2, 0, begin + tokens)));
    EXPECT_TRUE(at::equal(read.v, expected.v.narrow(2, 0, begin + tokens)));
    parts.commit();
  }
  EXPECT_EQ(parts.length(), 9);
  EXPECT_EQ(parts.bytes(), 2 * 3 * 9 * 64 / 32 * 18);
  EXPECT_GT(largest(expected.k - k), 0);
}

TEST(QuantizedCache, ForksGoTheirOwnWays) {
  const at::Tensor k = random_heads(4), other = random_heads(2);
  QuantizedCache cache(8);
  cache.read(0, k, k);
  cache.commit();
  auto fork = cache.fork();
  fork->read(4, other, other);
  fork->commit();
  EXPECT_EQ(cache.length(), 4);
  EXPECT_EQ(fork->length(), 6);
}

}  // namespace
}  // namespace longspan
