#include "src/core/resumable_file.h"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <thread>

#include "src/core/text.h"
#include "tests/support/temporary_folder.h"

namespace longspan {
namespace {

namespace fs = std::filesystem;

class ResumableFileTest : public testing::Test {
 protected:
  std::string content() { return read_file(place_, ExitCode::kFailure); }

  TemporaryFolder temporary_;
  fs::path place_ = temporary_.path() / "model", partial_ = temporary_.path() / "model.partial";
};

TEST_F(ResumableFileTest, AppearsWholeWithNothingBesideIt) {
  ResumableFile file(place_, {{"input", 1}});
  file.write("abc");
  file.end_part();
  EXPECT_FALSE(fs::exists(place_));
  file.commit();
  EXPECT_EQ(content(), "abc");
  EXPECT_FALSE(fs::exists(partial_));
}

TEST_F(ResumableFileTest, GoesOnBehindTheLastPart) {
  {
    ResumableFile file(place_, {{"input", 1}});
    file.write("abc");
    file.end_part();
    file.write("half");
  }
  ResumableFile file(place_, {{"input", 1}});
  EXPECT_EQ(file.size_bytes(), 3);
  file.write("def");
  file.end_part();
  file.commit();
  EXPECT_EQ(content(), "abcdef");
}

TEST_F(ResumableFileTest, KeepsWhatIsOlderThanASecondThroughKill9) {
  pid_t child = fork();
  if (child == 0) {
    ResumableFile file(place_, {{"input", 1}});
    file.write("abc");
    std::this_thread::sleep_for(std::chrono::milliseconds(1100));
    file.end_part();
    file.write("half");
    raise(SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  EXPECT_FALSE(fs::exists(place_));
  EXPECT_EQ(ResumableFile(place_, {{"input", 1}}).size_bytes(), 3);
}

TEST_F(ResumableFileTest, BeginsAnewFromOtherInputs) {
  {
    ResumableFile file(place_, {{"input", 1}});
    file.write("abc");
    file.end_part();
  }
  EXPECT_EQ(ResumableFile(place_, {{"input", 2}}).size_bytes(), 0);
}

TEST_F(ResumableFileTest, BeginsAnewWhereWhatWasKeptIsNoLength) {
  for (const char* kept :
       {"", "[]", "{}", R"({"bytes": -1})", R"({"bytes": 4})", R"({"bytes": "3"})",
        R"({"bytes": 1e30})", R"({"bytes": 18446744073709551615})"}) {
    {
      ResumableFile file(place_, {{"input", 1}});
      file.write("abc");
      file.end_part();
    }
    std::ofstream(partial_ / "kept.json") << kept;
    EXPECT_EQ(ResumableFile(place_, {{"input", 1}}).size_bytes(), 0) << kept;
    fs::remove_all(partial_);
  }
}

TEST_F(ResumableFileTest, LeavesNothingWhereNoPartEnded) {
  {
    ResumableFile file(place_, {{"input", 1}});
    file.write("half");
  }
  EXPECT_TRUE(fs::is_empty(temporary_.path()));
}

}  // namespace
}  // namespace longspan
