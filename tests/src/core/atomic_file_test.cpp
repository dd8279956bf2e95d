#include "src/core/atomic_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>

#include "src/core/error.h"
#include "src/core/text.h"
#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"

namespace longspan {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class AtomicFileTest : public testing::Test {
 protected:
  /// The names in the test's folder, sorted.
  std::vector<std::string> names() const {
    std::vector<std::string> found;
    if (!fs::exists(folder_)) return found;
    for (const auto& entry : fs::directory_iterator(folder_)) {
      found.push_back(entry.path().filename().string());
    }
    std::sort(found.begin(), found.end());
    return found;
  }
  std::string content(const std::string& name) const {
    return read_file(folder_ / name, ExitCode::kFailure);
  }

  TemporaryFolder temporary_;
  fs::path folder_ = temporary_.path() / "written";
};

TEST_F(AtomicFileTest, AppearsOnlyWithCommit) {
  AtomicFile file(folder_ / "deep" / "a.txt");
  file.write("hello ");
  file.write("world", 5);
  EXPECT_EQ(file.size_bytes(), 11);
  EXPECT_FALSE(fs::exists(folder_ / "deep" / "a.txt"));
  file.commit();
  EXPECT_EQ(content("deep/a.txt"), "hello world");
}

TEST_F(AtomicFileTest, WithoutCommitNothingIsLeftAndTheOldFileStays) {
  {
    AtomicFile file(folder_ / "a.txt");
    file.write("old");
    file.commit();
  }
  {
    AtomicFile file(folder_ / "a.txt");
    file.write("new");
  }
  EXPECT_THAT(names(), ElementsAre("a.txt"));
  EXPECT_EQ(content("a.txt"), "old");
}

TEST_F(AtomicFileTest, AWriteErrorNamesTheFileAndLeavesNothing) {
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  rlimit small = before;
  small.rlim_cur = 4096;
  std::string message;
  {
    AtomicFile file(folder_ / "a.txt");
    setrlimit(RLIMIT_FSIZE, &small);
    message = error_of([&] { file.write(std::string(10000, 'x')); }, ExitCode::kFailure);
    setrlimit(RLIMIT_FSIZE, &before);
  }
  EXPECT_THAT(message, HasSubstr("a.txt: cannot write after 4096 bytes: File too large"));
  EXPECT_THAT(names(), IsEmpty());
}

TEST_F(AtomicFileTest, AFolderThatCannotBeMadeIsAnError) {
  EXPECT_THAT(error_of([] { AtomicFile file("/proc/nothing/here/a.txt"); }, ExitCode::kFailure),
              HasSubstr("/proc/nothing/here: cannot create the folder"));
}

TEST_F(AtomicFileTest, WriteFileMakesTheFolderAndReplacesTheFile) {
  for (const char* text : {"first", ""}) {
    write_file(folder_ / "deep" / "a.txt", text);
    EXPECT_EQ(content("deep/a.txt"), text);
  }
  EXPECT_THAT(error_of([&] { write_file(folder_ / "deep", "x"); }, ExitCode::kFailure),
              HasSubstr("deep: is a folder or a device"));
  EXPECT_EQ(content("deep/a.txt"), "");
}

using AtomicFolderTest = AtomicFileTest;

TEST_F(AtomicFolderTest, AppearsOnlyWithCommitAndReplacesAnOlderOne) {
  for (const char* text : {"first", "second"}) {
    AtomicFolder folder(folder_ / "model/");
    AtomicFile file(folder.path() / "a.txt");
    file.write(text);
    file.commit();
    folder.commit();
    EXPECT_EQ(content("model/a.txt"), text);
  }
  EXPECT_THAT(names(), ElementsAre("model"));
}

TEST_F(AtomicFolderTest, ReplacesAnOlderOneThoughAnotherWasLeftAside) {
  fs::create_directories(folder_ / "model" / "old");
  AtomicFolder folder(folder_ / "model");
  fs::create_directories(fs::path(folder.path().string() + ".older") / "of a killed process");
  folder.commit();
  EXPECT_FALSE(fs::exists(folder_ / "model" / "old"));
  EXPECT_THAT(names(), ElementsAre("model"));
}

TEST_F(AtomicFolderTest, WithoutCommitNothingIsLeft) {
  {
    AtomicFolder folder(folder_ / "model");
    AtomicFile file(folder.path() / "a.txt");
    file.commit();
  }
  EXPECT_THAT(names(), IsEmpty());
}

TEST_F(AtomicFolderTest, AFailedCommitKeepsWhatWasThere) {
  fs::create_directories(folder_ / "model" / "old");
  AtomicFolder folder(folder_ / "model");
  fs::remove_all(folder.path());
  EXPECT_ANY_THROW(folder.commit());
  EXPECT_TRUE(fs::exists(folder_ / "model" / "old"));
}

TEST_F(AtomicFileTest, TakesTheNameOfNoFolderDeviceOrInput) {
  const fs::path in = temporary_.write("in", "x"), none = temporary_.path() / "none";
  auto refused = [](const fs::path& out, const std::vector<fs::path>& inputs) {
    return error_of([&] { require_output_file(out, inputs); }, ExitCode::kUsage);
  };
  EXPECT_EQ(refused(none, {in, none}), "no error");
  EXPECT_EQ(refused(in, {none, none / "inner"}), "no error");
  EXPECT_THAT(refused(in, {none, in}), HasSubstr("would be lost"));
  for (const fs::path& other : {temporary_.path(), fs::path("/dev/null")}) {
    EXPECT_THAT(refused(other, {}), HasSubstr("a folder or a device"));
    EXPECT_THROW(AtomicFile{other}, Error);
  }
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  const fs::path link = temporary_.path() / "link";
  fs::create_symlink(none, link);
  EXPECT_THAT(refused(link, {}), HasSubstr("is a link to nothing"));
  for (const fs::path& nothing : {fs::path(), none / ""}) {
    EXPECT_THAT(refused(nothing, {}), HasSubstr("is no name of a file"));
  }
}

TEST(WithoutTrailingSlash, NamesThePlaceThatIsWritten) {
  EXPECT_EQ(without_trailing_slash("a/b/"), "a/b");
  EXPECT_EQ(without_trailing_slash("a/none/../b"), "a/b");
  EXPECT_EQ(without_trailing_slash("a/none/.."), "a");
}

}  // namespace
}  // namespace longspan
