#include "src/nn/device.h"

#include <ATen/Context.h>
#include <gmock/gmock.h>

#include "src/core/cuda.h"
#include "tests/support/errors.h"
#include "tests/support/processors.h"

namespace longspan {
namespace {

using testing::HasSubstr;

TEST(Device, IsTheOneThatIsNamed) {
  EXPECT_EQ(open_device("cpu"), at::Device(at::kCPU));
  EXPECT_EQ(error_of([] { open_device("gpu"); }, ExitCode::kUsage),
            "--device: 'gpu' is not known; expected cpu, cuda or auto");
}

TEST(Device, WithoutADriverIsTheCpuAndSaysWhy) {
  if (has_cuda_driver()) GTEST_SKIP() << "this machine has a driver";
  EXPECT_EQ(open_device("auto"), at::Device(at::kCPU));
  EXPECT_THAT(error_of([] { open_device("cuda"); }, ExitCode::kUsage),
              HasSubstr("cuda cannot be used: there is no NVIDIA driver"));
  EXPECT_THAT(describe_devices(), HasSubstr("cuda  cannot be used: there is no NVIDIA driver"));
}

TEST(Device, OnlyAGpuIsToldToGiveTheSameBits) {
  at::Context& context = at::globalContext();
  use_deterministic_kernels(at::kCPU);
  EXPECT_FALSE(context.deterministicAlgorithms());
  use_deterministic_kernels(at::kCUDA);
  EXPECT_TRUE(context.deterministicAlgorithms());
  EXPECT_FALSE(context.deterministicAlgorithmsWarnOnly());
  EXPECT_FALSE(context.deterministicFillUninitializedMemory());
  context.setDeterministicAlgorithms(false, false);
}

TEST(Device, IsDescribedByTheKernelsThatRun) {
  const ForcedProcessor none("none");
  EXPECT_THAT(describe_devices(), testing::StartsWith("cpu   kernels: none of ours"));
  if (auto reason = beyond_this_processor("avx2"); !reason.empty()) GTEST_SKIP() << reason;
  const ForcedProcessor avx2("avx2");
  EXPECT_THAT(describe_devices(), testing::StartsWith("cpu   kernels: AVX2"));
}

}  // namespace
}  // namespace longspan
