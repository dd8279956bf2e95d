#pragma once

#include <ATen/Context.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "src/core/cuda.h"
#include "tests/support/places.h"
#include "tests/support/processors.h"

namespace longspan {

/// Why CUDA cannot be tested, or nothing. Before main(), for LibTorch asks only once whether there
/// is CUDA, and at::manual_seed makes it ask.
inline const std::string cuda_missing = load_cuda(cuda_plugin());

/// Why a test on CUDA is to be skipped, or nothing.
inline std::string why_not_on_cuda() {
  if (!cuda_missing.empty()) return "not run on CUDA: " + cuda_missing;
  return at::hasCUDA() ? "" : "not run on CUDA: LibTorch sees no GPU";
}

/// A test of an operator on "CUDA", and on the CPU with the kernel of each processor. Use
/// INSTANTIATE_ON_DEVICES.
class OnDevice : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (device().is_cuda()) {
      if (auto reason = why_not_on_cuda(); !reason.empty()) GTEST_SKIP() << reason;
      return;
    }
    if (auto reason = beyond_this_processor(GetParam()); !reason.empty()) GTEST_SKIP() << reason;
    processor_.emplace(GetParam());
  }

  /// Whether our own kernels take a tensor of this dtype here.
  static bool has_kernels(at::ScalarType dtype) {
    return std::string(GetParam()) != "none" && (dtype == at::kFloat || dtype == at::kBFloat16);
  }

  static at::Device device() { return std::string(GetParam()) == "CUDA" ? at::kCUDA : at::kCPU; }

 private:
  std::optional<ForcedProcessor> processor_;
};

}  // namespace longspan

#define INSTANTIATE_ON_DEVICES(FIXTURE)                                                        \
  INSTANTIATE_TEST_SUITE_P(Devices, FIXTURE,                                                   \
                           ::testing::Values("none", "avx2", "avx512", "avx512_bf16", "CUDA"), \
                           [](const auto& name) { return std::string(name.param); })
