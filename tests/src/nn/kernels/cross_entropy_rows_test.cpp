// longspan::cross_entropy_rows on each device and processor.

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

#include "src/nn/kernels/elementwise.h"
#include "src/simd/operators.h"
#include "tests/support/devices.h"

namespace longspan {
namespace {

class CrossEntropyRows : public OnDevice {
 protected:
  void SetUp() override {
    OnDevice::SetUp();
    at::manual_seed(5);
  }

  static constexpr at::ScalarType kDtypes[] = {at::kFloat, at::kBFloat16};

  /// The losses of logits [rows, size], which with `gradient` become their gradient.
  static at::Tensor losses(const at::Tensor& logits, const at::Tensor& labels, bool gradient) {
    using Rows = at::Tensor(at::Tensor logits, const at::Tensor& labels, bool gradient);
    static const auto op = find_operator<Rows>("longspan::cross_entropy_rows");
    return op.call(logits, labels.to(device()), gradient).cpu();
  }
  static at::Tensor exact_losses(const at::Tensor& logits, const at::Tensor& labels) {
    const at::Tensor logs = at::log_softmax(logits.to(at::kCPU, at::kDouble), 1);
    return -logs.gather(1, labels.unsqueeze(1)).squeeze(1);
  }
  static at::Tensor random_logits(int64_t rows, int64_t size, at::ScalarType dtype) {
    return at::randn({rows, size}, at::kFloat).mul_(4).to(device(), dtype);
  }
};

TEST_P(CrossEntropyRows, HaveAKernelOfOursOnEachProcessor) {
  if (!device().is_cpu()) GTEST_SKIP() << "the plugin's test has CUDA's";
  for (const at::ScalarType dtype : kDtypes) {
    EXPECT_EQ(elementwise::kernels_for(random_logits(1, 2, dtype)) != nullptr, has_kernels(dtype));
  }
}

TEST_P(CrossEntropyRows, EqualFloat64ForAnySize) {
  for (const at::ScalarType dtype : kDtypes) {
    for (int64_t size : {1, 2, 15, 16, 17, 33, 1000, 49152}) {
      const at::Tensor logits = random_logits(6, size, dtype);
      const at::Tensor labels = at::randint(size, {6}, at::kLong);
      const at::Tensor exact = exact_losses(logits, labels);
      // The error of bf16's exponential; in float32 a rounding of losses of up to 32.
      const double bound = dtype == at::kBFloat16 ? 1e-5 : 4e-6;
      EXPECT_LT((losses(logits, labels, false) - exact).abs().max().item<double>(), bound)
          << dtype << " " << size;
    }
  }
}

TEST_P(CrossEntropyRows, AreAsManyAsThereAre) {
  const at::Tensor logits = random_logits(70001, 17, at::kFloat);  // more than a grid has blocks
  const at::Tensor labels = at::randint(17, {70001}, at::kLong);
  const at::Tensor exact = exact_losses(logits, labels);
  EXPECT_LT((losses(logits, labels, false) - exact).abs().max().item<double>(), 4e-6);
}

TEST_P(CrossEntropyRows, RoundTheGradientOnce) {
  for (const at::ScalarType dtype : kDtypes) {
    for (int64_t size : {1, 15, 16, 17, 1000, 49152}) {
      const at::Tensor logits = random_logits(6, size, dtype);
      const at::Tensor labels = at::randint(size, {6}, at::kLong);
      at::Tensor exact = at::softmax(logits.to(at::kCPU, at::kDouble), 1);
      const at::Tensor target = labels.unsqueeze(1);
      exact.scatter_add_(1, target, -at::ones_like(target, at::kDouble));
      losses(logits, labels, true);
      // Half a unit in the last of 8 bits, and 1e-5 for the float32 difference to 1 at the label;
      // in float32 the roundings of an exponent of up to 32.
      const bool bf16 = dtype == at::kBFloat16;
      const at::Tensor beyond = (logits.to(at::kCPU, at::kDouble) - exact).abs() -
                                exact.abs() * (bf16 ? 1.0 / 256 : 6e-6);
      EXPECT_LT(beyond.max().item<double>(), bf16 ? 1e-5 : 1e-6) << dtype << " " << size;
    }
  }
}

TEST_P(CrossEntropyRows, GiveIgnoredRowsNeitherLossNorGradient) {
  for (const at::ScalarType dtype : kDtypes) {
    const at::Tensor logits = random_logits(2, 21, dtype);
    const at::Tensor zero = losses(logits, at::full({2}, -100, at::kLong), true);
    EXPECT_EQ(zero.abs().max().item<float>(), 0);
    EXPECT_EQ(logits.abs().max().item<float>(), 0);
  }
}

TEST_P(CrossEntropyRows, LeaveTheLogitsAloneWithoutGradient) {
  for (const at::ScalarType dtype : kDtypes) {
    const at::Tensor logits = random_logits(2, 21, dtype), before = logits.clone();
    losses(logits, at::full({2}, 3, at::kLong), false);
    EXPECT_TRUE(logits.equal(before));
  }
}

TEST_P(CrossEntropyRows, AreFiniteForLogitsFarApart) {
  for (const at::ScalarType dtype : kDtypes) {
    at::Tensor logits = at::full({2, 40}, -32768.0, dtype);
    logits.select(1, 7).fill_(32768.0);
    logits = logits.to(device());
    at::Tensor labels = at::full({2}, 7, at::kLong);
    labels[1].fill_(8);
    const at::Tensor loss = losses(logits, labels, true);
    EXPECT_EQ(loss[0].item<float>(), 0);
    EXPECT_EQ(loss[1].item<float>(), 65536);
    EXPECT_EQ(logits[0].abs().max().item<float>(), 0);
    EXPECT_EQ(logits[1][7].item<float>(), 1);
    EXPECT_EQ(logits[1][8].item<float>(), -1);
  }
}

TEST_P(CrossEntropyRows, MakeTheLossNanWhereALogitIs) {
  for (const at::ScalarType dtype : kDtypes) {
    at::Tensor logits = random_logits(1, 40, dtype);
    logits[0][11].fill_(NAN);
    EXPECT_TRUE(std::isnan(losses(logits, at::full({1}, 3, at::kLong), false).item<float>()));
  }
}

INSTANTIATE_ON_DEVICES(CrossEntropyRows);

}  // namespace
}  // namespace longspan
