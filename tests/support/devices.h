#pragma once

#include <ATen/Context.h>
#include <gtest/gtest.h>

#include <string>

#include "src/core/cuda.h"

namespace longspan {

/// Why CUDA cannot be tested, or nothing. Before main(), for LibTorch asks only once whether there
/// is CUDA, and at::manual_seed makes it ask.
inline const std::string cuda_missing = load_cuda(LONGSPAN_CUDA_PLUGIN);

/// A test of an operator, on each device that has a kernel for it. Use INSTANTIATE_ON_DEVICES.
class OnDevice : public ::testing::TestWithParam<at::DeviceType> {
 protected:
  void SetUp() override {
    if (GetParam() != at::kCUDA) return;
    if (!cuda_missing.empty()) GTEST_SKIP() << "not run on CUDA: " << cuda_missing;
    if (!at::hasCUDA()) GTEST_SKIP() << "not run on CUDA: LibTorch sees no GPU";
  }

  static at::Device device() { return GetParam(); }
};

}  // namespace longspan

#define INSTANTIATE_ON_DEVICES(FIXTURE)                                              \
  INSTANTIATE_TEST_SUITE_P(Devices, FIXTURE, ::testing::Values(at::kCPU, at::kCUDA), \
                           [](const auto& name) { return c10::DeviceTypeName(name.param); })
