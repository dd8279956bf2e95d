#include "tools/hub/part_file.h"

#include <gmock/gmock.h>

#include "src/core/text.h"
#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"

namespace longspan {
namespace {

using testing::HasSubstr;

TEST(PartFile, GoesOnWhereItWasAndIsMovedWhenWhole) {
  TemporaryFolder folder;
  const std::string path = folder.write("blob.incomplete", "abc");
  PartFile part(path);
  EXPECT_EQ(part.size(), 3);
  part.append("def");
  EXPECT_EQ(part.size(), 6);
  EXPECT_EQ(read_file(path, ExitCode::kFailure), "abcdef");
  part.move_to(folder.path("blob"));
  EXPECT_EQ(read_file(folder.path("blob"), ExitCode::kFailure), "abcdef");
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(PartFile, BeginsAnewWhereItIsTold) {
  TemporaryFolder folder;
  PartFile part(folder.write("blob.incomplete", "abc"));
  part.restart();
  EXPECT_EQ(part.size(), 0);
  part.append("x");
  EXPECT_EQ(read_file(part.path(), ExitCode::kFailure), "x");
}

TEST(PartFile, BelongsToOneProcessAtATime) {
  TemporaryFolder folder;
  const std::string path = folder.path("blob.incomplete");
  {
    PartFile first(path);
    EXPECT_THAT(error_of([&] { PartFile second(path); }, ExitCode::kFailure),
                HasSubstr("another process is downloading it"));
  }
  EXPECT_NO_THROW(PartFile{path});
}

TEST(PartFile, NamesAPlaceThatCannotBeWritten) {
  TemporaryFolder folder;
  const std::string path = folder.path("no/folder/blob.incomplete");
  EXPECT_THAT(error_of([&] { PartFile part(path); }, ExitCode::kFailure),
              HasSubstr("blob.incomplete: cannot write: No such file"));
}

}  // namespace
}  // namespace longspan
