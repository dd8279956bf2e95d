#include "src/core/cuda.h"

#include <gmock/gmock.h>

namespace longspan {
namespace {

TEST(Cuda, LoadsNothingWithoutADriver) {
  if (has_cuda_driver()) GTEST_SKIP() << "this machine has a driver";
  EXPECT_THAT(load_cuda("/nowhere/longspan_cuda.so"), testing::HasSubstr("no NVIDIA driver"));
}

TEST(Cuda, AGpuBeforeAmpereIsRefusedWithItsCapability) {
  EXPECT_EQ(why_not_capability(7, 5),
            "the GPU has compute capability 7.5, and 8.0 (Ampere) or more is needed");
  EXPECT_NE(why_not_capability(6, 1), "");
  for (auto [major, minor] : {std::pair{8, 0}, {8, 9}, {9, 0}, {12, 1}}) {
    EXPECT_EQ(why_not_capability(major, minor), "") << major << "." << minor;
  }
}

TEST(Cuda, LooksForThePluginBesideTheProgram) {
  EXPECT_EQ(cuda_plugin_beside_program().filename(), "longspan_cuda.so");
  EXPECT_TRUE(std::filesystem::exists(cuda_plugin_beside_program().parent_path() / "core_test"));
}

}  // namespace
}  // namespace longspan
