#include "src/nn/kernels/cross_entropy_bf16.h"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/softmax.h>
#include <gtest/gtest.h>

#include <cmath>

#include "src/attention/kernels/bf16_tensor.h"

namespace longspan {
namespace {

class CrossEntropyRows : public testing::Test {
 protected:
  void SetUp() override {
    if (!has_avx512_bf16()) GTEST_SKIP() << "needs AVX-512 BF16";
    at::manual_seed(5);
  }

  /// The losses of logits [rows, size] bf16, which with `gradient` become their gradient.
  static at::Tensor losses(at::Tensor& logits, const at::Tensor& labels, bool gradient) {
    at::Tensor out = at::full({logits.size(0)}, NAN, at::kFloat);
    bf16::cross_entropy_rows(mutable_bf16_data(logits), labels.const_data_ptr<int64_t>(),
                             logits.size(0), logits.size(1), gradient,
                             out.mutable_data_ptr<float>());
    return out;
  }
  static at::Tensor random_logits(int64_t rows, int64_t size) {
    return at::randn({rows, size}, at::kFloat).mul_(4).to(at::kBFloat16);
  }
};

TEST_F(CrossEntropyRows, EqualsFloat64ForAnySize) {
  for (int64_t size : {1, 2, 15, 16, 17, 33, 1000, 49152}) {
    at::Tensor logits = random_logits(6, size), labels = at::randint(size, {6}, at::kLong);
    at::Tensor exact =
        -at::log_softmax(logits.to(at::kDouble), 1).gather(1, labels.unsqueeze(1)).squeeze(1);
    // The exponential's error, and one rounding an addition in each of 16 float32 sums.
    double bound = 1e-5 + static_cast<double>(size) / 16 * 6e-8;
    EXPECT_LT((losses(logits, labels, false) - exact).abs().max().item<double>(), bound) << size;
  }
}

TEST_F(CrossEntropyRows, RoundsTheGradientOnce) {
  for (int64_t size : {1, 15, 16, 17, 1000, 49152}) {
    at::Tensor logits = random_logits(6, size), labels = at::randint(size, {6}, at::kLong);
    at::Tensor exact = at::softmax(logits.to(at::kDouble), 1);
    at::Tensor target = labels.unsqueeze(1);
    exact.scatter_add_(1, target, -at::ones_like(target, at::kDouble));
    losses(logits, labels, true);
    // Half a unit in the last of 8 bits, and 1e-5 for the float32 difference to 1 at the label.
    at::Tensor beyond = (logits.to(at::kDouble) - exact).abs() - exact.abs() / 256;
    EXPECT_LT(beyond.max().item<double>(), 1e-5) << size;
  }
}

TEST_F(CrossEntropyRows, GivesIgnoredRowsNeitherLossNorGradient) {
  at::Tensor logits = random_logits(2, 21), labels = at::full({2}, -100, at::kLong);
  at::Tensor zero = losses(logits, labels, true);
  EXPECT_EQ(zero.abs().max().item<float>(), 0);
  EXPECT_EQ(logits.abs().max().item<float>(), 0);
}

TEST_F(CrossEntropyRows, LeavesTheLogitsAloneWithoutGradient) {
  at::Tensor logits = random_logits(2, 21), before = logits.clone();
  losses(logits, at::full({2}, 3, at::kLong), false);
  EXPECT_TRUE(logits.equal(before));
}

TEST_F(CrossEntropyRows, IsFiniteForLogitsFarApart) {
  at::Tensor logits = at::full({2, 40}, -32768.0, at::kBFloat16);
  logits.select(1, 7).fill_(32768.0);
  at::Tensor labels = at::full({2}, 7, at::kLong);
  labels[1].fill_(8);
  at::Tensor loss = losses(logits, labels, true);
  EXPECT_EQ(loss[0].item<float>(), 0);
  EXPECT_EQ(loss[1].item<float>(), 65536);
  EXPECT_EQ(logits[0].abs().max().item<float>(), 0);
  EXPECT_EQ(logits[1][7].item<float>(), 1);
  EXPECT_EQ(logits[1][8].item<float>(), -1);
}

TEST_F(CrossEntropyRows, MakesTheLossNanWhereALogitIs) {
  at::Tensor logits = random_logits(1, 40);
  logits[0][11].fill_(NAN);
  EXPECT_TRUE(std::isnan(losses(logits, at::full({1}, 3, at::kLong), false).item<float>()));
}

}  // namespace
}  // namespace longspan
