#include "tools/hub/partial_download.h"

#include <gmock/gmock.h>

#include "src/core/text.h"
#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"

namespace longspan {
namespace {

using testing::HasSubstr;

TEST(PartialDownload, GoesOnWhereItWasAndIsMovedWhenWhole) {
  TemporaryFolder folder;
  const std::string path = folder.write("blob.incomplete", "abc");
  PartialDownload part(path);
  EXPECT_EQ(part.size(), 3);
  part.append("def");
  EXPECT_EQ(part.size(), 6);
  EXPECT_EQ(read_file(path, ExitCode::kFailure), "abcdef");
  part.move_to(folder.path("blob"));
  EXPECT_EQ(read_file(folder.path("blob"), ExitCode::kFailure), "abcdef");
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(PartialDownload, BeginsAnewWhereItIsTold) {
  TemporaryFolder folder;
  PartialDownload part(folder.write("blob.incomplete", "abc"));
  part.restart();
  EXPECT_EQ(part.size(), 0);
  part.append("x");
  EXPECT_EQ(read_file(part.path(), ExitCode::kFailure), "x");
}

TEST(PartialDownload, BelongsToOneProcessAtATime) {
  TemporaryFolder folder;
  const std::string path = folder.path("blob.incomplete");
  {
    PartialDownload first(path);
    EXPECT_THAT(error_of([&] { PartialDownload second(path); }, ExitCode::kFailure),
                HasSubstr("another process is writing it"));
  }
  EXPECT_NO_THROW(PartialDownload{path});
}

TEST(PartialDownload, NamesAPlaceThatCannotBeWritten) {
  TemporaryFolder folder;
  const std::string path = folder.path("no/folder/blob.incomplete");
  EXPECT_THAT(error_of([&] { PartialDownload part(path); }, ExitCode::kFailure),
              HasSubstr("blob.incomplete: cannot write: No such file"));
}

}  // namespace
}  // namespace longspan
