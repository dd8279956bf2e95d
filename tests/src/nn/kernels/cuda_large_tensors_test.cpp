// Kernels of the CUDA plugin on more elements than 31 bits count: the last rows are what the same
// function makes of them alone, to the bit.

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "src/attention/rotary.h"
#include "src/core/text.h"
#include "src/nn/device.h"
#include "src/nn/rms_norm.h"
#include "src/nn/swiglu.h"
#include "tests/support/devices.h"
#include "tests/support/gradients.h"

namespace longspan {
namespace {

constexpr int64_t kWidth = 4096, kManyRows = (int64_t{1} << 31) / kWidth + 8, kLastRows = 16;

class CudaLargeTensors : public ::testing::Test {
 protected:
  using Function = std::function<at::Tensor(const std::vector<at::Tensor>&)>;

  void SetUp() override {
    if (auto reason = why_not_on_cuda(); !reason.empty()) GTEST_SKIP() << reason;
    constexpr int64_t kNeeded = int64_t{48} << 30;
    const int64_t available = available_memory_bytes(at::Device(at::kCUDA, 0));
    if (available < kNeeded) {
      GTEST_SKIP() << "the GPU has " << human_bytes(available) << " left, and "
                   << human_bytes(kNeeded) << " are needed";
    }
  }

  static at::Tensor random(at::IntArrayRef sizes) {
    return at::randn(sizes, at::TensorOptions(at::kCUDA).dtype(at::kBFloat16));
  }
  static at::Tensor last(const at::Tensor& x) {
    return x.narrow(0, x.size(0) - kLastRows, kLastRows);
  }

  /// `inputs` [kManyRows, ..]: the value and their gradients.
  static void expect_last_rows_alike(const Function& function,
                                     const std::vector<at::Tensor>& inputs) {
    const at::Tensor gradient = random(inputs.front().sizes());
    std::vector<at::Tensor> last_inputs;
    for (const at::Tensor& input : inputs) last_inputs.push_back(last(input));
    const auto expected = value_and_gradients(function, last_inputs, last(gradient), at::kBFloat16);
    const auto made = value_and_gradients(function, inputs, gradient, at::kBFloat16);
    EXPECT_TRUE(at::equal(last(made.value), expected.value));
    for (size_t i = 0; i < inputs.size(); ++i) {
      EXPECT_TRUE(at::equal(last(made.gradients[i]), expected.gradients[i])) << "input " << i;
    }
  }
};

TEST_F(CudaLargeTensors, SwigluReachesTheLastRows) {
  expect_last_rows_alike([](const auto& x) { return swiglu(x[0], x[1]); },
                         {random({kManyRows, kWidth}), random({kManyRows, kWidth})});
}

TEST_F(CudaLargeTensors, RmsNormReachesTheLastRows) {
  for (const int64_t size : {kWidth, int64_t{128}}) {  // of a hidden state, and of a head
    SCOPED_TRACE(size);
    RmsNorm norm(size, 1e-5);
    norm.weight = random({size});
    expect_last_rows_alike([&](const auto& x) { return norm.forward(x[0]); },
                           {random({kManyRows, kWidth / size, size})});
  }
}

TEST_F(CudaLargeTensors, RotaryReachesTheLastRows) {
  constexpr int64_t kHeads = 32, kHeadDim = kWidth / kHeads;
  RopeFrequencies frequencies;
  for (int64_t i = 0; i < kHeadDim / 2; ++i) frequencies.inv_freq.push_back(1.0 / (1 + 3.0 * i));
  const at::Tensor positions = at::arange(kManyRows, at::TensorOptions(at::kCUDA).dtype(at::kLong));
  // x [T, H, D], the layout of a projection.
  expect_last_rows_alike(
      [&](const auto& x) {
        const at::Tensor own = positions.narrow(0, kManyRows - x[0].size(0), x[0].size(0));
        const Rotary rotary(frequencies, own.unsqueeze(0), at::kBFloat16);
        return rotary.rotate(x[0].unsqueeze(0).transpose(1, 2)).transpose(1, 2).squeeze(0);
      },
      {random({kManyRows, kHeads, kHeadDim})});
}

}  // namespace
}  // namespace longspan
