#include "src/core/unfinished_part.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include "src/core/atomic_file.h"
#include "src/core/error.h"
#include "src/core/file_lock.h"
#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"

namespace longspan {
namespace {

namespace fs = std::filesystem;
using Kind = UnfinishedPart::Kind;

TEST(UnfinishedPart, RemovesWhatKilledProcessesLeftOfTheSamePlace) {
  TemporaryFolder folder;
  for (const char* name : {"out.part-7", "out.part-8/deep", "out.part-x", "out2.part-7"}) {
    folder.write(name, "half");
  }
  write_file(folder.path("out"), "whole");
  EXPECT_FALSE(fs::exists(folder.path("out.part-7")));
  EXPECT_FALSE(fs::exists(folder.path("out.part-8")));
  EXPECT_TRUE(fs::exists(folder.path("out.part-x")));  // no name of ours
  EXPECT_TRUE(fs::exists(folder.path("out2.part-7")));
}

TEST(UnfinishedPart, LeavesWhatAnotherProcessWrites) {
  TemporaryFolder folder;
  folder.write("out.part-7", "half");
  const int other = open(folder.path("out.part-7").c_str(), O_RDONLY);
  ASSERT_EQ(try_lock(other), LockResult::kLocked);
  write_file(folder.path("out"), "whole");
  EXPECT_TRUE(fs::exists(folder.path("out.part-7")));
  close(other);
  write_file(folder.path("out"), "again");
  EXPECT_FALSE(fs::exists(folder.path("out.part-7")));
}

TEST(UnfinishedPart, KeepsBothFoldersOfAProcessThatDiedBetweenItsTwoMoves) {
  TemporaryFolder folder;
  folder.write("model.part-7/new", "new");
  folder.write("model.part-7.older/old", "old");
  { const UnfinishedPart part(folder.path("model"), Kind::kFolder); }
  EXPECT_TRUE(fs::exists(folder.path("model.part-7/new")));
  EXPECT_TRUE(fs::exists(folder.path("model.part-7.older/old")));
  fs::rename(folder.path("model.part-7"), folder.path("model"));
  { const UnfinishedPart part(folder.path("model"), Kind::kFolder); }
  EXPECT_TRUE(fs::exists(folder.path("model/new")));
  EXPECT_FALSE(fs::exists(folder.path("model.part-7.older")));
}

TEST(UnfinishedPart, IsOneAtATimeInAProcess) {
  TemporaryFolder folder;
  for (const Kind kind : {Kind::kFile, Kind::kFolder}) {
    const UnfinishedPart first(folder.path("out"), kind);
    EXPECT_THAT(error_of([&] { UnfinishedPart(folder.path("out"), kind); }, ExitCode::kFailure),
                testing::HasSubstr("out: another process is writing it"));
    EXPECT_TRUE(fs::exists(first.path()));
  }
}

}  // namespace
}  // namespace longspan
