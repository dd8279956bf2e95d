#include "checkpoints/tensor_info.h"

#include <gmock/gmock.h>

namespace longspan {
namespace {

TEST(TensorInfo, IsFoundByItsName) {
  const std::vector<TensorInfo> infos{{"a", "F32", {2, 3}, 24}, {"b", "BF16", {}, 2}};
  ASSERT_NE(find_tensor(infos, "a"), nullptr);
  EXPECT_EQ(find_tensor(infos, "a")->numel(), 6);
  EXPECT_EQ(find_tensor(infos, "b")->numel(), 1);
  EXPECT_EQ(find_tensor(infos, "c"), nullptr);
}

TEST(TensorInfo, AShapeIsShownAsAList) {
  EXPECT_EQ(shape_text({32, 64}), "[32, 64]");
  EXPECT_EQ(shape_text({}), "[]");
}

TEST(TensorInfo, OfManyFaultsTheFirstTwentyAreShown) {
  EXPECT_EQ(fault_lines({"one", "two\n"}), (std::vector<std::string>{"one", "two\\n"}));
  const auto lines = fault_lines(std::vector<std::string>(23, "fault"));
  EXPECT_EQ(lines.size(), 21u);
  EXPECT_EQ(lines.back(), "and 3 more");
}

}  // namespace
}  // namespace longspan
