#include "src/core/path_lock.h"

#include <gmock/gmock.h>

#include <optional>
#include <vector>

#include "src/core/error.h"
#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"

namespace longspan {
namespace {

TEST(PathLock, LetsOneInUntilItIsGone) {
  const TemporaryFolder folder;
  for (const std::filesystem::path& path :
       std::vector<std::filesystem::path>{folder.path(), folder.write("file", "")}) {
    std::optional<PathLock> first(path);
    EXPECT_THAT(error_of([&] { const PathLock second(path); }, ExitCode::kFailure),
                testing::HasSubstr("another process is writing it"));
    first.reset();
    EXPECT_NO_THROW(const PathLock again(path));
  }
}

TEST(PathLock, NamesWhatIsNotThere) {
  const TemporaryFolder folder;
  EXPECT_THROW(PathLock(folder.path("absent")), Error);
}

}  // namespace
}  // namespace longspan
