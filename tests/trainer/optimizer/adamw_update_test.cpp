#include "trainer/optimizer/adamw_update.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <tuple>

#include "checkpoints/safetensors.h"
#include "src/nn/kernels/elementwise.h"
#include "src/nn/nf4.h"
#include "tests/support/devices.h"
#include "tests/support/largest.h"
#include "tests/support/places.h"
#include "tests/support/processors.h"

namespace longspan {
namespace {

constexpr AdamWStep kStep{
    .step = 1, .lr = 1e-2, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.1};

struct Weight {
  at::Tensor master, parameter;
  AdamWMoments moments;
};

/// `dtype` decides the path: the kernels write bfloat16 (and float32), for others LibTorch works.
Weight weight_of(int64_t size, at::ScalarType dtype, int64_t state_bits) {
  at::manual_seed(size);
  at::Tensor start = at::randn({size});
  return {start, start.to(dtype, false, /*copy=*/true), zero_moments(start, state_bits)};
}

at::Tensor dynamic_map_tensor(const std::array<float, 256>& map) {
  at::Tensor values = at::zeros({256});
  std::copy(map.begin(), map.end(), values.mutable_data_ptr<float>());
  return values;
}

/// The kernels of each processor against the path for any.
class BothPaths : public testing::TestWithParam<std::tuple<const char*, int64_t>> {
 protected:
  void SetUp() override {
    const char* processor = std::get<0>(GetParam());
    if (auto reason = beyond_this_processor(processor); !reason.empty()) GTEST_SKIP() << reason;
    processor_.emplace(processor);
    ASSERT_NE(elementwise::kernels_for(at::zeros({1})), nullptr);
  }
  static int64_t size() { return std::get<1>(GetParam()); }

 private:
  std::optional<ForcedProcessor> processor_;
};

INSTANTIATE_TEST_SUITE_P(Processors, BothPaths,
                         testing::Combine(testing::Values("avx2", "avx512", "avx512_bf16"),
                                          testing::Values(1, 255, 4096, 65536 + 300)),
                         [](const auto& info) {
                           return fmt::format("{}_{}", std::get<0>(info.param),
                                              std::get<1>(info.param));
                         });

TEST_P(BothPaths, AgreeIn32Bits) {
  for (at::ScalarType gradient_dtype : {at::kBFloat16, at::kFloat}) {
    Weight one_pass = weight_of(size(), at::kBFloat16, 32);
    Weight any_processor = weight_of(size(), at::kHalf, 32);
    AdamWStep step = kStep;
    for (step.step = 1; step.step <= 5; ++step.step) {
      at::Tensor gradient = at::randn({size()}).to(gradient_dtype);
      step.gradient_scale = 1.0 / static_cast<double>(step.step);
      for (const Weight& w : {one_pass, any_processor}) {
        adamw_update(step, gradient, w.moments, w.master, w.parameter);
        EXPECT_TRUE(at::equal(w.parameter, w.master.to(w.parameter.scalar_type())));
      }
    }
    // |update| <= lr sqrt(5) a step; each of its dozen roundings is half of 2^-23 of it.
    EXPECT_LT(largest_difference(one_pass.master, any_processor.master), 1e-6);
    EXPECT_LT(largest_difference(one_pass.moments.exp_avg, any_processor.moments.exp_avg), 2e-6);
    EXPECT_LT(largest_difference(one_pass.moments.exp_avg_sq, any_processor.moments.exp_avg_sq),
              5e-6);
  }
}

TEST_P(BothPaths, AgreeIn8Bits) {
  Weight one_pass = weight_of(size(), at::kBFloat16, 8);
  Weight any_processor = weight_of(size(), at::kHalf, 8);
  EXPECT_EQ(one_pass.moments.in_8bit(), size() >= 4096);
  AdamWStep step = kStep;
  for (step.step = 1; step.step <= 3; ++step.step) {
    at::Tensor gradient = at::randn({size()}).to(at::kBFloat16);
    for (const Weight& w : {one_pass, any_processor}) {
      adamw_update(step, gradient, w.moments, w.master, w.parameter);
    }
  }
  if (!one_pass.moments.in_8bit()) return;
  // A rounding may move a value over the bound between two codes, and that is 1 in 10^5.
  const auto differing = [](const at::Tensor& a, const at::Tensor& b) {
    return a.ne(b).sum().item<int64_t>();
  };
  const int64_t few = 1 + size() / 1000;
  EXPECT_LE(differing(one_pass.moments.exp_avg, any_processor.moments.exp_avg), few);
  EXPECT_LE(differing(one_pass.moments.exp_avg_sq, any_processor.moments.exp_avg_sq), few);
}

TEST_P(BothPaths, FindTheSameCodesAtEveryBoundBetweenTwo) {
  if (size() < AdamWMoments::kSmallest8bit) return;
  // Without what was before, a moment is the gradient or its square; 1 leaves it unscaled.
  const AdamWStep step{
      .step = 1, .lr = 1e-2, .beta1 = 0, .beta2 = 0, .eps = 1e-8, .weight_decay = 0};
  at::Tensor gradient = at::zeros({size()});
  auto* g = gradient.mutable_data_ptr<float>();
  for (int64_t i = 0; i < size(); ++i) {
    const auto of_map = [&](const auto& map) {
      return (map[i / 8 % 255] + map[i / 8 % 255 + 1]) / 2;
    };
    const float bound =
        i % 2 == 0 ? of_map(dynamic_map()) : std::sqrt(of_map(unsigned_dynamic_map()));
    const float beside[] = {bound, std::nextafter(bound, -1.0f), std::nextafter(bound, 1.0f),
                            bound / 3};
    g[i] = i % AdamWMoments::kBlock == 0 ? 1.0f : beside[i / 2 % 4];
  }
  Weight one_pass = weight_of(size(), at::kFloat, 8),
         any_processor = weight_of(size(), at::kHalf, 8);
  adamw_update(step, gradient, one_pass.moments, one_pass.master, one_pass.master);
  adamw_update(step, gradient, any_processor.moments, any_processor.master,
               any_processor.parameter);
  EXPECT_TRUE(at::equal(one_pass.moments.exp_avg, any_processor.moments.exp_avg));
  EXPECT_TRUE(at::equal(one_pass.moments.exp_avg_sq, any_processor.moments.exp_avg_sq));
}

TEST(AdamWUpdate, OnCudaIsTheCpus) {
  if (auto reason = why_not_on_cuda(); !reason.empty()) GTEST_SKIP() << reason;
  for (int64_t state_bits : {32, 8}) {
    Weight on_cpu = weight_of(65536 + 300, at::kBFloat16, state_bits);
    const Weight on_cuda = {on_cpu.master.to(at::kCUDA), on_cpu.parameter.to(at::kCUDA),
                            zero_moments(on_cpu.master.to(at::kCUDA), state_bits)};
    AdamWStep step = kStep;
    for (step.step = 1; step.step <= 3; ++step.step) {
      const at::Tensor gradient = at::randn(on_cpu.master.sizes()).to(at::kBFloat16);
      for (const Weight& w : {on_cpu, on_cuda}) {
        adamw_update(step, gradient.to(w.master.device()), w.moments, w.master, w.parameter);
      }
    }
    // In 8 bits a rounding may move a moment to the next code.
    const at::Tensor difference = (on_cuda.master.cpu() - on_cpu.master).abs();
    EXPECT_LE(difference.gt(1e-6).sum().item<int64_t>(), state_bits == 8 ? 100 : 0);
    EXPECT_LE(difference.max().item<double>(), kStep.lr);
  }
}

TEST(AdamWUpdate, ReadsGradientsOfAnyLayout) {
  Weight contiguous = weight_of(48, at::kBFloat16, 32),
         transposed = weight_of(48, at::kBFloat16, 32);
  at::Tensor gradient = at::randn({6, 8}).to(at::kBFloat16);
  adamw_update(kStep, gradient.view(-1), contiguous.moments, contiguous.master,
               contiguous.parameter);
  for (auto* tensor : {&transposed.master, &transposed.parameter, &transposed.moments.exp_avg,
                       &transposed.moments.exp_avg_sq}) {
    *tensor = tensor->view({6, 8});
  }
  adamw_update(kStep, gradient.t().contiguous().t(), transposed.moments, transposed.master,
               transposed.parameter);
  EXPECT_LT(largest_difference(contiguous.master, transposed.master.view(-1)), 1e-6);
}

TEST(AdamWUpdate, IsTheSameForAnyNumberOfThreads) {
  const int threads = at::get_num_threads();
  Weight one = weight_of(200000, at::kBFloat16, 8), two = weight_of(200000, at::kBFloat16, 8);
  at::Tensor gradient = at::randn({200000}).to(at::kBFloat16);
  at::set_num_threads(1);
  adamw_update(kStep, gradient, one.moments, one.master, one.parameter);
  const double sum = sum_of_squares(gradient);
  at::set_num_threads(2);
  adamw_update(kStep, gradient, two.moments, two.master, two.parameter);
  EXPECT_EQ(sum_of_squares(gradient), sum);
  EXPECT_TRUE(at::equal(one.master, two.master));
  EXPECT_TRUE(at::equal(one.moments.exp_avg, two.moments.exp_avg));
  at::set_num_threads(threads);
}

TEST(AdamWUpdate, SumsSquaresInFloat64) {
  at::Tensor gradient = at::zeros({70001});
  gradient[0] = 1e4;
  gradient.narrow(0, 1, 70000).fill_(1.0 / 128);  // lost in float32 beside 10^8
  for (const char* processor : {"none", "avx2", "avx512", "avx512_bf16"}) {
    if (!beyond_this_processor(processor).empty()) continue;
    const ForcedProcessor forced(processor);
    // To the last places: without a kernel of ours it is the square of a norm.
    EXPECT_DOUBLE_EQ(sum_of_squares(gradient), 1e8 + 70000.0 / 16384) << processor;
    EXPECT_DOUBLE_EQ(sum_of_squares(gradient.narrow(0, 1, 70000).to(at::kBFloat16)),
                     70000.0 / 16384)
        << processor;
    EXPECT_NEAR(sum_of_squares(gradient.to(at::kDouble)), 1e8 + 70000.0 / 16384, 1e-6);
  }
}

at::Tensor golden(const std::string& name) {
  static const SafetensorsReader reader(reference_folder() / "adamw_8bit.safetensors");
  return reader.tensor(name);
}

constexpr int64_t kGoldenSize = 4196;

/// The numbers of tests/reference/make_adamw_8bit.py.
at::Tensor golden_numbers(int64_t step) {
  at::Tensor index = at::arange(kGoldenSize, at::kLong);
  at::Tensor hash =
      ((index + step * kGoldenSize) * 2654435761).remainder(int64_t{1} << 32).to(at::kDouble);
  at::Tensor magnitude = index.floor_divide(256).remainder(8).to(at::kFloat).exp2();
  return (hash / 4294967296.0 - 0.5).to(at::kFloat) / magnitude;
}

TEST(AdamW8bit, HasBitsandbytesUnsignedDynamicMap) {
  EXPECT_TRUE(
      at::equal(dynamic_map_tensor(unsigned_dynamic_map()), golden("unsigned_dynamic_map")));
}

TEST(AdamW8bit, UpdatesAsBitsandbytes) {
  for (bool in_one_pass : {true, false}) {
    at::Tensor master = golden_numbers(0);
    at::Tensor parameter = master.to(in_one_pass ? at::kBFloat16 : at::kHalf);
    AdamWMoments moments = zero_moments(master, 8);
    AdamWStep step = kStep;
    for (step.step = 1; step.step <= 5; ++step.step) {
      at::Tensor gradient = golden_numbers(step.step);
      gradient.narrow(0, 256, 256).zero_();
      adamw_update(step, gradient, moments, master, parameter);
    }
    const auto differing = [](const at::Tensor& a, const at::Tensor& b) {
      EXPECT_LE(largest_difference(a, b), 1);
      return a.ne(b).sum().item<int64_t>();
    };
    EXPECT_LE(differing(moments.exp_avg, golden("exp_avg")), 4) << in_one_pass;
    EXPECT_LE(differing(moments.exp_avg_sq, golden("exp_avg_sq")), 4) << in_one_pass;
    EXPECT_LT(largest_difference(moments.exp_avg_absmax, golden("exp_avg_absmax")), 1e-7);
    EXPECT_LT(largest_difference(moments.exp_avg_sq_absmax, golden("exp_avg_sq_absmax")), 1e-7);
    EXPECT_LT(largest_difference(master, golden("weight")), 1e-5) << in_one_pass;
  }
}

TEST(AdamW8bit, AWeightWhoseGradientEndsDoesNotBlowUp) {
  // In a block with large gradients: bitsandbytes' second moment becomes 0, and the step m / eps.
  for (at::ScalarType dtype : {at::kBFloat16, at::kHalf}) {
    Weight w = weight_of(4096, dtype, 8);
    const at::Tensor start = w.master.clone();
    at::Tensor gradient = at::zeros({4096}) + 1;
    gradient[7] = 1e-4;
    AdamWStep step = kStep;
    step.weight_decay = 0;
    adamw_update(step, gradient, w.moments, w.master, w.parameter);
    gradient[7] = 0;
    for (step.step = 2; step.step <= 6; ++step.step) {
      adamw_update(step, gradient, w.moments, w.master, w.parameter);
    }
    EXPECT_LT(largest_difference(w.master, start), 6.1 * step.lr);
  }
}

}  // namespace
}  // namespace longspan
