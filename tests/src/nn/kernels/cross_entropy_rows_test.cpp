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
#include <optional>
#include <string>
#include <tuple>

#include "src/nn/kernels/elementwise.h"
#include "tests/support/processors.h"
namespace longspan {
namespace {

/// The kernel of every processor that this one can be taken for, for each dtype.
class CrossEntropyRows : public testing::TestWithParam<std::tuple<const char*, at::ScalarType>> {
 protected:
  void SetUp() override {
    const char* processor = std::get<0>(GetParam());
    if (auto reason = beyond_this_processor(processor); !reason.empty()) GTEST_SKIP() << reason;
    processor_.emplace(processor);
    at::manual_seed(5);
  }

  static at::ScalarType dtype() { return std::get<1>(GetParam()); }

  /// The losses of logits [rows, size], which with `gradient` become their gradient.
  static at::Tensor losses(at::Tensor& logits, const at::Tensor& labels, bool gradient) {
    at::Tensor out = at::full({logits.size(0)}, NAN, at::kFloat);
    elementwise::kernels_for(logits)->cross_entropy_rows(
        logits.mutable_data_ptr(), labels.const_data_ptr<int64_t>(), logits.size(0), logits.size(1),
        gradient, out.mutable_data_ptr<float>());
    return out;
  }
  static at::Tensor random_logits(int64_t rows, int64_t size) {
    return at::randn({rows, size}, at::kFloat).mul_(4).to(dtype());
  }

 private:
  std::optional<ForcedProcessor> processor_;
};

TEST_P(CrossEntropyRows, EqualsFloat64ForAnySize) {
  for (int64_t size : {1, 2, 15, 16, 17, 33, 1000, 49152}) {
    at::Tensor logits = random_logits(6, size), labels = at::randint(size, {6}, at::kLong);
    at::Tensor exact =
        -at::log_softmax(logits.to(at::kDouble), 1).gather(1, labels.unsqueeze(1)).squeeze(1);
    // The error of bf16's exponential; in float32 a rounding of losses of up to 32.
    const double bound = dtype() == at::kBFloat16 ? 1e-5 : 4e-6;
    EXPECT_LT((losses(logits, labels, false) - exact).abs().max().item<double>(), bound) << size;
  }
}

TEST_P(CrossEntropyRows, RoundsTheGradientOnce) {
  for (int64_t size : {1, 15, 16, 17, 1000, 49152}) {
    at::Tensor logits = random_logits(6, size), labels = at::randint(size, {6}, at::kLong);
    at::Tensor exact = at::softmax(logits.to(at::kDouble), 1);
    at::Tensor target = labels.unsqueeze(1);
    exact.scatter_add_(1, target, -at::ones_like(target, at::kDouble));
    losses(logits, labels, true);
    // Half a unit in the last of 8 bits, and 1e-5 for the float32 difference to 1 at the label; in
    // float32 the roundings of an exponent of up to 32.
    const bool bf16 = dtype() == at::kBFloat16;
    at::Tensor beyond =
        (logits.to(at::kDouble) - exact).abs() - exact.abs() * (bf16 ? 1.0 / 256 : 6e-6);
    EXPECT_LT(beyond.max().item<double>(), bf16 ? 1e-5 : 1e-6) << size;
  }
}

TEST_P(CrossEntropyRows, GivesIgnoredRowsNeitherLossNorGradient) {
  at::Tensor logits = random_logits(2, 21), labels = at::full({2}, -100, at::kLong);
  at::Tensor zero = losses(logits, labels, true);
  EXPECT_EQ(zero.abs().max().item<float>(), 0);
  EXPECT_EQ(logits.abs().max().item<float>(), 0);
}

TEST_P(CrossEntropyRows, LeavesTheLogitsAloneWithoutGradient) {
  at::Tensor logits = random_logits(2, 21), before = logits.clone();
  losses(logits, at::full({2}, 3, at::kLong), false);
  EXPECT_TRUE(logits.equal(before));
}

TEST_P(CrossEntropyRows, IsFiniteForLogitsFarApart) {
  at::Tensor logits = at::full({2, 40}, -32768.0, dtype());
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

TEST_P(CrossEntropyRows, MakesTheLossNanWhereALogitIs) {
  at::Tensor logits = random_logits(1, 40);
  logits[0][11].fill_(NAN);
  EXPECT_TRUE(std::isnan(losses(logits, at::full({1}, 3, at::kLong), false).item<float>()));
}

INSTANTIATE_TEST_SUITE_P(Processors, CrossEntropyRows,
                         testing::Combine(testing::Values("avx2", "avx512", "avx512_bf16"),
                                          testing::Values(at::kFloat, at::kBFloat16)),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param)) + "_" +
                                  c10::toString(std::get<1>(info.param));
                         });

}  // namespace
}  // namespace longspan
