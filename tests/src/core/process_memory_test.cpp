#include "src/core/process_memory.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/support/temporary_folder.h"

namespace longspan {
namespace {

TEST(PeakMemory, BeginsAnewWhenItIsReset) {
  constexpr size_t kSize = size_t{64} << 20;
  std::vector<char>(kSize, 1).back() = 2;
  const int64_t peak = peak_memory_bytes();
  if (!reset_peak_memory()) GTEST_SKIP() << "/proc/self/clear_refs cannot be written here";
  EXPECT_LT(peak_memory_bytes(), peak - int64_t{kSize} / 2);
  std::vector<char>(kSize, 1).back() = 2;
  EXPECT_GT(peak_memory_bytes(), peak - int64_t{kSize} / 2);
}

class CgroupMemory : public testing::Test {
 protected:
  std::optional<int64_t> left(const std::string& cgroups) const {
    return cgroup_available_bytes(folder_.path(), cgroups);
  }
  void group(const std::string& path, const std::string& max, const std::string& current) const {
    folder_.write(path + "/memory.max", max + "\n");
    folder_.write(path + "/memory.current", current + "\n");
    folder_.write(path + "/memory.stat", "anon 7\ninactive_file 60\nactive_file 40\n");
  }
  const TemporaryFolder folder_;
};

TEST_F(CgroupMemory, IsTheLeastThatAGroupAndThoseAboveItLeave) {
  group("a", "5000", "3100");
  group("a/b", "9000", "1100");
  group("a/b/c", "max", "1100");
  EXPECT_EQ(left("0::/a/b/c\n"), 2000);
  group("a", "9999", "3100");
  EXPECT_EQ(left("0::/a/b/c\n"), 6999);
  group("a/b", "1500", "1100");
  EXPECT_EQ(left("0::/a/b/c\n"), 500);
  EXPECT_EQ(left("0::/a/elsewhere\n"), 6999);
}

TEST_F(CgroupMemory, OfAContainerThatSeesItselfAtTheRoot) {
  group(".", "5000", "1100");
  EXPECT_EQ(left("0::/\n"), 4000);
  EXPECT_EQ(left("0::/docker/of-the-host\n"), 4000);
}

TEST_F(CgroupMemory, IsNoneLeftBeyondTheLimit) {
  group("a", "1000", "1500");
  EXPECT_EQ(left("0::/a\n"), 0);
}

TEST_F(CgroupMemory, IsNotKnownWithoutALimit) {
  EXPECT_EQ(left("0::/a\n"), std::nullopt);
  EXPECT_EQ(left(""), std::nullopt);
  EXPECT_EQ(left("0\n::\n"), std::nullopt);
  group("a", "max", "1100");
  EXPECT_EQ(left("0::/a\n"), std::nullopt);
  group("b", "5000", "");
  EXPECT_EQ(left("0::/b\n"), std::nullopt);
  group("c", "5000", "1100");
  EXPECT_EQ(left("3:cpu,cpuacct:/c\n1:name=systemd:/c\n"), std::nullopt);
}

TEST_F(CgroupMemory, IsReadOfTheMemoryControllerOfVersion1) {
  folder_.write("memory/a/memory.limit_in_bytes", "5000\n");
  folder_.write("memory/a/memory.usage_in_bytes", "1100\n");
  folder_.write("memory/a/memory.stat",
                "inactive_file 1\ntotal_inactive_file 60\ntotal_active_file 40\n");
  folder_.write("memory/memory.limit_in_bytes", "9223372036854771712\n");  // no limit
  folder_.write("memory/memory.usage_in_bytes", "1100\n");
  EXPECT_EQ(left("5:hugetlb,memory:/a/b\n2:cpu:/a\n0::/\n"), 4000);
}

TEST(AvailableMemory, IsNoMoreThanTheMachineHas) {
  EXPECT_GT(available_memory_bytes(), 0);
  EXPECT_LE(available_memory_bytes(), machine_available_bytes() + (int64_t{1} << 30));
}

}  // namespace
}  // namespace longspan
