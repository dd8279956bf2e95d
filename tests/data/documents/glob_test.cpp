#include "data/documents/glob.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "tests/data/temporary_folder.h"

namespace longspan {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class GlobTest : public testing::Test {
 protected:
  GlobTest() {
    for (const char* name : {"1.txt", "a/2.txt", "a/b/3.txt", "a/b/c/4.md", ".hidden/5.txt",
                             "a/.6.txt", "书.txt", "[x]/7.txt"}) {
      folder_.write(name, "");
    }
  }
  /// Below the folder.
  std::vector<std::string> found(const std::string& pattern) {
    Notices unreachable;
    std::vector<std::string> names;
    for (const auto& path : expand_glob(folder_.path(pattern), unreachable)) {
      names.push_back(path.lexically_relative(folder_.path()).string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  TemporaryFolder folder_;
};

TEST_F(GlobTest, TwoStarsAreFoldersOfAnyDepth) {
  EXPECT_THAT(found("**/*.txt"),
              ElementsAre("1.txt", "[x]/7.txt", "a/2.txt", "a/b/3.txt", "书.txt"));
  EXPECT_THAT(found("a/**/*.txt"), ElementsAre("a/2.txt", "a/b/3.txt"));
  EXPECT_THAT(found("**/b/**/*.md"), ElementsAre("a/b/c/4.md"));
  EXPECT_THAT(found("a/b/**"), ElementsAre("a/b/3.txt", "a/b/c/4.md"));
  EXPECT_THAT(found("none/**/*.txt"), IsEmpty());
}

TEST_F(GlobTest, TwoStarsBesideLettersAreOneStar) {
  EXPECT_THAT(found("a/**.txt"), ElementsAre("a/2.txt"));
}

TEST_F(GlobTest, AQuestionMarkIsOneCharacter) {
  EXPECT_THAT(found("?.txt"), ElementsAre("1.txt", "书.txt"));
  EXPECT_THAT(found("[书本].txt"), ElementsAre("书.txt"));
  EXPECT_THAT(found("[!书].txt"), ElementsAre("1.txt"));
}

TEST_F(GlobTest, TakesBracesAndEscapes) {
  EXPECT_THAT(found("{1,书}.txt"), ElementsAre("1.txt", "书.txt"));
  EXPECT_THAT(found("\\[x\\]/*.txt"), ElementsAre("[x]/7.txt"));
}

TEST_F(GlobTest, ADotIsMatchedByADotAlone) {
  EXPECT_THAT(found("a/*"), ElementsAre("a/2.txt", "a/b"));
  EXPECT_THAT(found("a/.*.txt"), ElementsAre("a/.6.txt"));
}

}  // namespace
}  // namespace longspan
