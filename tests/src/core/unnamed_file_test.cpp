#include "src/core/unnamed_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "tests/support/temporary_folder.h"

namespace longspan {
namespace {

TEST(OpenUnnamedFile, IsWrittenAndReadAndLeavesNothing) {
  const TemporaryFolder folder;
  const int file = open_unnamed_file(folder.path());
  ASSERT_GE(file, 0);
  std::string bytes = "kept";
  ASSERT_EQ(pwrite(file, bytes.data(), 4, 4096), 4);
  std::string again(4, ' ');
  ASSERT_EQ(pread(file, again.data(), 4, 4096), 4);
  EXPECT_EQ(again, bytes);
  struct stat status;
  ASSERT_EQ(fstat(file, &status), 0);
  EXPECT_EQ(status.st_nlink, 0u);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  close(file);
}

TEST(OpenUnnamedFile, SaysWhyThereIsNone) {
  const TemporaryFolder folder;
  EXPECT_EQ(open_unnamed_file(folder.path() / "none"), -1);
  EXPECT_EQ(errno, ENOENT);
}

}  // namespace
}  // namespace longspan
