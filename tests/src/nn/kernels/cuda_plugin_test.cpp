#include <ATen/core/dispatch/Dispatcher.h>
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string_view>

#include "tests/support/places.h"

namespace longspan {
namespace {

/// The plugin itself needs no GPU to be loaded, only the CUDA runtime that every LibTorch for CUDA
/// brings.
TEST(CudaPlugin, HasAKernelForEachOperatorThatHasNoOtherOneOnCuda) {
  if (!std::filesystem::exists(cuda_plugin())) {
    GTEST_SKIP() << "not built: wants nvcc and the target longspan_cuda";
  }
  ASSERT_NE(dlopen(cuda_plugin().c_str(), RTLD_NOW), nullptr) << dlerror();
  auto& dispatcher = c10::Dispatcher::singleton();
  int operators = 0;
  for (const c10::OperatorName& name : dispatcher.getAllOpNames()) {
    // On CUDA attention is LibTorch's.
    if (!name.name.starts_with("longspan::") ||
        name.name.starts_with("longspan::interval_attention"))
      continue;
    ++operators;
    const auto op = dispatcher.findOp(name);
    EXPECT_TRUE(op->hasKernelForDispatchKey(c10::DispatchKey::CPU)) << name.name;
    EXPECT_TRUE(op->hasKernelForDispatchKey(c10::DispatchKey::CUDA)) << name.name;
  }
  EXPECT_EQ(operators, 8);
}

}  // namespace
}  // namespace longspan
