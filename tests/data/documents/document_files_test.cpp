#include "data/documents/document_files.h"

#include <gmock/gmock.h>

#include "tests/data/temporary_folder.h"

namespace longspan {
namespace {

namespace fs = std::filesystem;

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::vector<std::string> file_names(const std::vector<std::string>& inputs) {
  std::vector<std::string> found;
  for (const auto& file : find_document_files(inputs).paths) found.push_back(file.filename());
  return found;
}

std::string files_complaint(const std::vector<std::string>& inputs) {
  std::string what;
  EXPECT_EQ(exit_code_of([&] { find_document_files(inputs); }, &what), 4);
  return what;
}

TEST(DocumentFiles, AreFoundInFoldersAndByGlobsSortedAndOnce) {
  TemporaryFolder folder;
  for (const char* name :
       {"z/b.txt", "z/a.md.gz", "z/deep/c.jsonl.zst", "z/pic.png", "d.tex", "e.txt.bz2"}) {
    folder.write(name, "x");
  }
  EXPECT_THAT(file_names({folder.path("z")}), ElementsAre("a.md.gz", "b.txt", "c.jsonl.zst"));
  EXPECT_THAT(file_names({folder.path("*")}),
              ElementsAre("d.tex", "a.md.gz", "b.txt", "c.jsonl.zst"));
  EXPECT_THAT(file_names({folder.path("z/b.txt"), folder.path("z"), folder.path("z/*.txt")}),
              ElementsAre("b.txt", "a.md.gz", "c.jsonl.zst"));
}

TEST(DocumentFiles, HaveEndingsInLettersOfEitherCase) {
  TemporaryFolder folder;
  for (const char* name : {"BOOK.TXT", "b.Jsonl", "c.MD.ZST"}) folder.write(name, "x");
  EXPECT_THAT(file_names({folder.path("")}), ElementsAre("BOOK.TXT", "b.Jsonl", "c.MD.ZST"));
}

TEST(DocumentFiles, CountWhatNoFormatClaims) {
  TemporaryFolder folder;
  for (const char* name : {"a.txt", "b.pdf", "c.docx", "sub/d", "e.txt.xz"})
    folder.write(name, "x");
  const DocumentFiles files = find_document_files({folder.path("")});
  EXPECT_EQ(files.unclaimed.count(), 4);
  EXPECT_EQ(files.unclaimed.first().size(), 3u);
  EXPECT_EQ(find_document_files({folder.path("*.*")}).unclaimed.count(), 3);
}

/// The files named where an input holds no documents are its own.
TEST(DocumentFiles, NameWhatIsThereOfTheInputThatHoldsNone) {
  TemporaryFolder folder, other;
  folder.write("a.txt", "x");
  folder.write("b.pdf", "x");
  other.write("c.docx", "x");
  EXPECT_THAT(files_complaint({folder.path(""), other.path("")}),
              AllOf(HasSubstr("c.docx"), Not(HasSubstr("b.pdf"))));
}

TEST(DocumentFiles, AreFoundBehindLinkedFolders) {
  TemporaryFolder folder, elsewhere;
  folder.write("a.txt", "x");
  elsewhere.write("deep/b.txt", "x");
  fs::create_directory_symlink(elsewhere.path(), folder.path("linked"));
  fs::create_directory_symlink(folder.path(), elsewhere.path("deep/back"));
  EXPECT_THAT(file_names({folder.path("")}), ElementsAre("a.txt", "b.txt"));
  EXPECT_THAT(file_names({folder.path("**/*.txt")}), ElementsAre("a.txt", "b.txt"));
}

TEST(DocumentFiles, NameLinksThatLeadNowhere) {
  TemporaryFolder folder;
  folder.write("a.txt", "x");
  fs::create_symlink(folder.path("loop.txt"), folder.path("loop.txt"));
  fs::create_symlink(folder.path("gone"), folder.path("b.txt"));
  fs::create_directory_symlink(folder.path(), folder.path("again"));
  const DocumentFiles files = find_document_files({folder.path("")});
  EXPECT_THAT(files.paths, ElementsAre(fs::path(folder.path("a.txt"))));
  EXPECT_THAT(files.unreachable.first(),
              testing::UnorderedElementsAre(HasSubstr("loop.txt"), HasSubstr("b.txt")));
}

TEST(DocumentFiles, SayWhatMatchesNothing) {
  TemporaryFolder folder;
  folder.write("pic.png", "x");
  EXPECT_THAT(files_complaint({folder.path("none.txt")}), HasSubstr("no such file"));
  EXPECT_THAT(files_complaint({folder.path("*.txt")}), HasSubstr("holds no documents"));
  EXPECT_THAT(files_complaint({folder.path("")}), HasSubstr("holds no documents"));
  EXPECT_THAT(files_complaint({folder.path("")}),
              HasSubstr("behind it; there is " + folder.path("pic.png")));
  EXPECT_THAT(files_complaint({folder.path("pic.png")}),
              HasSubstr(".txt, .md, .tex or .jsonl, each also with .gz or .zst behind it"));
}

}  // namespace
}  // namespace longspan
