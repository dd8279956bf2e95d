#include "src/core/cuda.h"

#include <gmock/gmock.h>

namespace longspan {
namespace {

TEST(Cuda, LoadsNothingWithoutADriver) {
  if (has_cuda_driver()) GTEST_SKIP() << "this machine has a driver";
  EXPECT_THAT(load_cuda("/nowhere/longspan_cuda.so"), testing::HasSubstr("no NVIDIA driver"));
}

TEST(Cuda, LooksForThePluginBesideTheProgram) {
  EXPECT_EQ(cuda_plugin_beside_program().filename(), "longspan_cuda.so");
  EXPECT_TRUE(std::filesystem::exists(cuda_plugin_beside_program().parent_path() / "core_test"));
}

}  // namespace
}  // namespace longspan
