#include "src/core/resumable_folder.h"

#include <gmock/gmock.h>

#include <fstream>

#include "src/core/atomic_file.h"
#include "tests/support/temporary_folder.h"

namespace longspan {
namespace {

namespace fs = std::filesystem;

class ResumableFolderTest : public testing::Test {
 protected:
  void write(const ResumableFolder& folder, const std::string& name) {
    AtomicFile file(folder.path() / name);
    file.write(name);
    file.commit();
  }
  std::vector<std::string> names(const fs::path& folder) {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(folder)) {
      found.push_back(entry.path().filename());
    }
    return found;
  }

  TemporaryFolder temporary_;
  fs::path place_ = temporary_.path() / "model", partial_ = temporary_.path() / "model.partial";
};

TEST_F(ResumableFolderTest, AppearsWholeWithNothingBesideItsFiles) {
  ResumableFolder folder(place_, {{"input", 1}});
  write(folder, "a");
  EXPECT_FALSE(fs::exists(place_));
  folder.commit();
  EXPECT_THAT(names(place_), testing::ElementsAre("a"));
  EXPECT_THAT(names(temporary_.path()), testing::ElementsAre("model"));
}

TEST_F(ResumableFolderTest, FindsItsFinishedFilesAgain) {
  { write(ResumableFolder(place_, {{"input", 1}, {"rate", 0.1}}), "a"); }
  std::ofstream(partial_ / "b.part-7") << "half";
  ResumableFolder folder(place_, {{"input", 1}, {"rate", 0.1}});
  EXPECT_TRUE(fs::exists(folder.path() / "a"));
  EXPECT_FALSE(fs::exists(folder.path() / "b.part-7"));
}

TEST_F(ResumableFolderTest, BeginsAnewFromOtherInputs) {
  { write(ResumableFolder(place_, {{"input", 1}}), "a"); }
  testing::internal::CaptureStderr();
  ResumableFolder folder(place_, {{"input", 2}});
  EXPECT_FALSE(fs::exists(folder.path() / "a"));
  EXPECT_THAT(testing::internal::GetCapturedStderr(), testing::HasSubstr("(input); begins anew"));
}

TEST_F(ResumableFolderTest, BeginsAnewWhereNothingSaysWhatItWasMadeFrom) {
  fs::create_directories(partial_);
  std::ofstream(partial_ / "a") << "of another program";
  ResumableFolder folder(place_, {{"input", 1}});
  EXPECT_FALSE(fs::exists(folder.path() / "a"));
}

TEST_F(ResumableFolderTest, LeavesNothingWhereNothingWasFinished) {
  { ResumableFolder folder(place_, {{"input", 1}}); }
  EXPECT_TRUE(fs::is_empty(temporary_.path()));
}

TEST_F(ResumableFolderTest, LeavesNothingThatIsDiscarded) {
  {
    ResumableFolder folder(place_, {{"input", 1}});
    write(folder, "a");
    folder.discard();
  }
  EXPECT_TRUE(fs::is_empty(temporary_.path()));
}

TEST_F(ResumableFolderTest, IsFilledByOneAtATime) {
  ResumableFolder folder(place_, {{"input", 1}});
  try {
    ResumableFolder second(place_, {{"input", 2}});
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), testing::HasSubstr("another process"));
  }
  EXPECT_TRUE(fs::exists(partial_));
}

TEST_F(ResumableFolderTest, ReplacesAnOlderFolder) {
  fs::create_directories(place_);
  std::ofstream(place_ / "old") << "x";
  ResumableFolder folder(place_ / "", {{"input", 1}});
  write(folder, "a");
  folder.commit();
  EXPECT_THAT(names(place_), testing::ElementsAre("a"));
}

TEST_F(ResumableFolderTest, GoesOnWhereItCouldNotBeMovedIntoPlace) {
  fs::create_symlink("nothing", place_);  // no folder can be renamed to it
  {
    ResumableFolder folder(place_, {{"input", 1}});
    write(folder, "a");
    EXPECT_THROW(folder.commit(), Error);
  }
  fs::remove(place_);
  ResumableFolder folder(place_, {{"input", 1}});
  EXPECT_TRUE(fs::exists(folder.path() / "a"));
  folder.commit();
  EXPECT_THAT(names(place_), testing::ElementsAre("a"));
}

TEST(FileStamps, ChangeWithTheFiles) {
  TemporaryFolder temporary;
  temporary.write("a", "1");
  Json before = file_stamps(temporary.path());
  EXPECT_EQ(before, file_stamps(temporary.path()));
  temporary.write("b", "1");
  EXPECT_NE(before, file_stamps(temporary.path()));
  Json file = file_stamps(temporary.path() / "a");
  EXPECT_EQ(file.size(), 1);
  temporary.write("a", "12");
  EXPECT_NE(file, file_stamps(temporary.path() / "a"));
  EXPECT_EQ(file_stamps(temporary.path() / "none"), Json::array());
}

}  // namespace
}  // namespace longspan
