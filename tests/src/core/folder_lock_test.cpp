#include "src/core/folder_lock.h"

#include <gmock/gmock.h>

#include <optional>

#include "src/core/error.h"
#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"

namespace longspan {
namespace {

TEST(FolderLock, LetsOneInUntilItIsGone) {
  const TemporaryFolder folder;
  std::optional<FolderLock> first(folder.path());
  EXPECT_THAT(error_of([&] { const FolderLock second(folder.path()); }, ExitCode::kFailure),
              testing::HasSubstr("another process is writing it"));
  first.reset();
  EXPECT_NO_THROW(FolderLock(folder.path()));
}

TEST(FolderLock, NamesAFolderThatIsNotThere) {
  const TemporaryFolder folder;
  EXPECT_THROW(FolderLock(folder.path("absent")), Error);
}

}  // namespace
}  // namespace longspan
