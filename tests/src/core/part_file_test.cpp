#include "src/core/part_file.h"

#include <gmock/gmock.h>

#include <fstream>
#include <optional>

#include "src/core/error.h"
#include "src/core/text.h"
#include "tests/support/temporary_folder.h"

namespace longspan {
namespace {

namespace fs = std::filesystem;

TEST(PartFile, AppearsInItsPlaceWhenItIsCommitted) {
  TemporaryFolder folder;
  PartFile file(folder.path("new/out"));
  std::ofstream(file.part()) << "content";
  EXPECT_FALSE(fs::exists(file.path()));
  file.commit();
  EXPECT_EQ(read_file(folder.path("new/out"), ExitCode::kData), "content");
  EXPECT_FALSE(fs::exists(file.part()));
}

TEST(PartFile, LetsOneInUntilItIsGone) {
  TemporaryFolder folder;
  std::optional<PartFile> first(folder.path("out"));
  try {
    const PartFile second(folder.path("out"));
    FAIL() << "two were let in";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), testing::HasSubstr("out: another process is writing it"));
  }
  EXPECT_TRUE(fs::exists(first->part()));  // the second has not removed it
  EXPECT_NO_THROW(PartFile(folder.path("other")));
  PartFile moved = std::move(*first);
  first.reset();
  EXPECT_THROW(PartFile(folder.path("out")), Error);
  moved.commit();
  EXPECT_NO_THROW(PartFile(folder.path("out")));
}

TEST(PartFile, LeavesNothingWithoutACommit) {
  TemporaryFolder folder;
  folder.write("out", "older");
  { const PartFile file(folder.path("out")); }
  EXPECT_FALSE(fs::exists(folder.path("out.part")));
  EXPECT_EQ(read_file(folder.path("out"), ExitCode::kData), "older");
}

TEST(PartFile, TakesOverWhatAKilledProcessLeft) {
  TemporaryFolder folder;
  folder.write("out.part", "half of a fi");
  PartFile file(folder.path("out"));
  std::ofstream(file.part()) << "whole";
  file.commit();
  EXPECT_EQ(read_file(folder.path("out"), ExitCode::kData), "whole");
  EXPECT_FALSE(fs::exists(folder.path("out.part")));
}

TEST(PartFile, SaysWhereItCannotWrite) {
  TemporaryFolder folder;
  folder.write("file", "");
  EXPECT_THROW(PartFile(folder.path("file/out")), Error);
}

}  // namespace
}  // namespace longspan
