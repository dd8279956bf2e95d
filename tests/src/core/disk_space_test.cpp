#include "src/core/disk_space.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/core/error.h"
#include "tests/support/errors.h"

namespace longspan {
namespace {

using ::testing::HasSubstr;

TEST(DiskSpace, IsThatOfTheNearestFolderThatIsThere) {
  const std::filesystem::path here = std::filesystem::temp_directory_path();
  EXPECT_TRUE(std::filesystem::equivalent(existing_folder(here / "not" / "there" / "yet"), here));
  EXPECT_GT(free_disk_bytes(here / "not" / "there" / "yet").value_or(0), 0);
}

TEST(DiskSpace, FoldersOfOneDiskAreTold) {
  const std::filesystem::path here = std::filesystem::temp_directory_path();
  EXPECT_TRUE(on_one_disk(here, here));
  EXPECT_FALSE(on_one_disk(here, "/proc"));
  EXPECT_FALSE(on_one_disk(here, here / "not" / "there"));
}

TEST(RequireDiskSpace, SaysWhatIsNeededAndWhatIsFree) {
  EXPECT_NO_THROW(require_disk_space("/tmp/not/there/yet", 1));
  EXPECT_THAT(error_of([&] { require_disk_space("/tmp/not/there/yet", int64_t{1} << 60); },
                       ExitCode::kFailure),
              HasSubstr("/tmp/not/there/yet: needs"));
}

}  // namespace
}  // namespace longspan
