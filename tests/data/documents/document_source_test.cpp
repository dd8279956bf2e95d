#include "data/documents/document_source.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <zlib.h>
#include <zstd.h>

#include "data/documents/document_files.h"
#include "tests/data/temporary_folder.h"

namespace longspan {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string gzip(const std::string& text) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string packed(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

std::string zstandard(const std::string& text) {
  std::string packed(ZSTD_compressBound(text.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), text.data(), text.size(), 3));
  return packed;
}

std::vector<Document> read(const std::vector<std::string>& inputs, DocumentOptions options = {}) {
  auto source = open_documents(find_document_files(inputs), options);
  std::vector<Document> documents;
  while (auto document = source->next()) documents.push_back(std::move(*document));
  return documents;
}

std::string text_of(const std::string& path) {
  auto documents = read({path});
  return documents.size() == 1 ? documents[0].text : "not one document";
}

std::string complaint(const std::vector<std::string>& inputs, DocumentOptions options = {}) {
  std::string what;
  EXPECT_EQ(exit_code_of([&] { read(inputs, options); }, &what), 4);
  return what;
}

std::string long_text() {
  std::string text;
  for (int i = 0; i < 60000; ++i) text += "line " + std::to_string(i * 7919) + "\n";
  return text;
}

TEST(Documents, ReadTheSameTextPlainAndCompressed) {
  TemporaryFolder folder;
  std::string text = long_text();
  EXPECT_EQ(text_of(folder.write("a.txt", text)), text);
  EXPECT_EQ(text_of(folder.write("a.txt.gz", gzip(text))), text);
  EXPECT_EQ(text_of(folder.write("a.md.zst", zstandard(text))), text);
}

TEST(Documents, ReadMembersAndFramesOneAfterAnother) {
  TemporaryFolder folder;
  EXPECT_EQ(text_of(folder.write("a.txt.gz", gzip("one ") + gzip("") + gzip("two"))), "one two");
  EXPECT_EQ(text_of(folder.write("a.txt.zst", zstandard("one ") + zstandard("two"))), "one two");
}

TEST(Documents, SayWhichCompressedFileEndsEarly) {
  TemporaryFolder folder;
  for (const auto& [name, packed] :
       {std::pair{"a.txt.gz", gzip(long_text())}, {"a.txt.zst", zstandard(long_text())}}) {
    for (size_t size : {size_t{1}, size_t{9}, packed.size() / 2, packed.size() - 1}) {
      auto path = folder.write(name, packed.substr(0, size));
      EXPECT_THAT(complaint({path}), testing::AllOf(HasSubstr(path), HasSubstr("ends early")))
          << size;
    }
    EXPECT_THAT(complaint({folder.write(name, "")}), HasSubstr("empty"));
  }
}

TEST(Documents, SayWhichCompressedFileIsDamaged) {
  TemporaryFolder folder;
  auto packed = gzip(long_text());
  packed[packed.size() - 6] ^= 1;  // of the CRC
  EXPECT_THAT(complaint({folder.write("a.txt.gz", packed)}), HasSubstr("damaged"));
  EXPECT_THAT(complaint({folder.write("b.txt.gz", "plain text under a wrong name")}),
              HasSubstr("damaged"));
  EXPECT_THAT(complaint({folder.write("c.txt.zst", "plain text under a wrong name")}),
              HasSubstr("damaged"));
  EXPECT_THAT(complaint({folder.write("d.txt.gz", gzip("good") + "rubbish")}),
              HasSubstr("damaged"));
}

TEST(Documents, StopAtACompressionBomb) {
  TemporaryFolder folder;
  auto path = folder.write("a.txt.gz", gzip(std::string(1 << 20, 'a')));
  EXPECT_THAT(complaint({path}, {.max_document_bytes = 100000}), HasSubstr("larger than"));
  EXPECT_EQ(read({path}, {.max_document_bytes = 1 << 20}).size(), 1u);
}

TEST(Documents, StopAtABombOfZstandardAndOfJsonLines) {
  TemporaryFolder folder;
  std::string long_line = "{\"text\": \"" + std::string(1 << 20, 'a') + "\"}\n";
  for (const auto& path : {folder.write("a.txt.zst", zstandard(std::string(1 << 20, 'a'))),
                           folder.write("a.jsonl.gz", gzip(long_line))}) {
    EXPECT_THAT(complaint({path}, {.max_document_bytes = 100000}), HasSubstr("larger than"));
  }
}

TEST(Documents, RefuseAZstandardFrameThatClaimsAHugeWindow) {
  TemporaryFolder folder;
  // Magic, no single segment, window descriptor of 2^40 bytes, an RLE block.
  std::string frame(
      "\x28\xB5\x2F\xFD\x00\xF0\x0B\x00\x00"
      "a",
      10);
  EXPECT_THAT(complaint({folder.write("a.txt.zst", frame)}), HasSubstr("damaged"));
}

TEST(Documents, AreRegularFilesOnly) {
  TemporaryFolder folder;
  ASSERT_EQ(mkfifo(folder.path("a.txt").c_str(), 0600), 0);
  std::filesystem::create_symlink("/dev/zero", folder.path("b.jsonl"));
  EXPECT_THAT(complaint({folder.path("a.txt")}), HasSubstr("no regular file"));
  EXPECT_THAT(complaint({folder.path("b.jsonl")}), HasSubstr("no regular file"));
}

TEST(Documents, RefuseARecordThatNestsTooDeep) {
  TemporaryFolder folder;
  EXPECT_THAT(complaint({folder.write("a.jsonl", std::string(100'000, '['))}),
              HasSubstr("a.jsonl:1: JSON nests deeper"));
}

TEST(Documents, ReadRecordsOfJsonLines) {
  TemporaryFolder folder;
  std::string lines = "{\"text\": \"one\\n\\u00e9\", \"x\": 1}\r\n\n  \n{\"text\": \"two\"}";
  for (const auto& path :
       {folder.write("a.jsonl", lines), folder.write("a.jsonl.zst", zstandard(lines))}) {
    auto documents = read({path});
    ASSERT_EQ(documents.size(), 2u);
    EXPECT_EQ(documents[0].text, "one\n\xC3\xA9");
    EXPECT_EQ(documents[0].name, path + ":1");
    EXPECT_EQ(documents[1].name, path + ":4");
  }
  auto path = folder.write("b.jsonl", "{\"body\": \"three\"}\n");
  EXPECT_EQ(read({path}, {.text_key = "body"})[0].text, "three");
}

TEST(Documents, NameTheLineOfABadRecord) {
  TemporaryFolder folder;
  auto second = [&](const std::string& line) {
    return complaint({folder.write("a.jsonl", "{\"text\": \"x\"}\n" + line + "\n")});
  };
  EXPECT_THAT(second("{\"text\": "), HasSubstr("a.jsonl:2"));
  EXPECT_THAT(second("[1]"), HasSubstr("a.jsonl:2"));
  EXPECT_THAT(second("{\"content\": \"y\"}"),
              testing::AllOf(HasSubstr("a.jsonl:2"), HasSubstr("content")));
  EXPECT_THAT(second("{\"text\": 7}"), HasSubstr("no string"));
}

TEST(Documents, RefuseBinaryFiles) {
  TemporaryFolder folder;
  auto path = folder.write("a.txt", std::string("PK\x03\x04\0\0", 6));
  EXPECT_THAT(complaint({path}), testing::AllOf(HasSubstr(path), HasSubstr("NUL")));
}

TEST(Documents, PassOverEmptyOnesAndCountThem) {
  TemporaryFolder folder;
  folder.write("a.txt", " \n\t\r\n");
  folder.write("b.txt", "x");
  folder.write("c.txt", "");
  auto source = open_documents(find_document_files({folder.path("")}), {});
  EXPECT_EQ(source->next()->text, "x");
  EXPECT_FALSE(source->next());
  EXPECT_EQ(source->empty_documents(), 2);
}

TEST(Documents, RepairWhatIsNoUtf8AndDropAByteOrderMark) {
  TemporaryFolder folder;
  auto source = open_documents({folder.write("a.txt",
                                             "\xEF\xBB\xBF"
                                             "caf\xE9 \xFF")},
                               {});
  EXPECT_EQ(source->next()->text, "caf\xEF\xBF\xBD \xEF\xBF\xBD");
  EXPECT_EQ(source->replaced_sequences(), 2);
}

TEST(Documents, RepairRecordsOfJsonLines) {
  struct Case {
    std::string json, text;
    int64_t replaced;
  };
  const std::string bad = "\xEF\xBF\xBD";
  const std::vector<Case> cases = {
      {"caf\xE9", "caf" + bad, 1},
      {R"(a\u0000b)", "a" + bad + "b", 1},
      {R"(\ud83d)", bad, 1},
      {R"(\uD83Dx\uDE00)", bad + "x" + bad, 2},
      {R"(\ud83d\ud83d\ude00)", bad + "\xF0\x9F\x98\x80", 1},
      {R"(\ud83d\u00e9)", bad + "\xC3\xA9", 1},
      {R"(\\ud83d \\u0000)", R"(\ud83d \u0000)", 0},  // backslashes and letters
  };
  for (const Case& given : cases) {
    TemporaryFolder folder;
    auto source =
        open_documents({folder.write("a.jsonl", "{\"text\": \"" + given.json + "\"}\n")}, {});
    EXPECT_EQ(source->next()->text, given.text);
    EXPECT_EQ(source->replaced_sequences(), given.replaced) << given.text;
  }
}

TEST(Documents, AreRecordsByTheLastEndingOnly) {
  TemporaryFolder folder;
  EXPECT_EQ(text_of(folder.write("train.jsonl.txt", "plain")), "plain");
}

TEST(Documents, AccountForEveryByteOfTheirFiles) {
  TemporaryFolder folder;
  folder.write("a.txt.gz", gzip(long_text()));
  folder.write("b.jsonl", "{\"text\": \"one\"}\n{\"text\": \"two\"}\n");
  folder.write("c.txt", "three");
  int64_t stored = 0, consumed = 0;
  for (const auto& file : find_document_files({folder.path("")})) {
    stored += static_cast<int64_t>(std::filesystem::file_size(file));
  }
  for (const auto& document : read({folder.path("")})) consumed += document.raw_bytes;
  EXPECT_EQ(consumed, stored);
}

TEST(DocumentFiles, AreFoundInFoldersAndByGlobsSortedAndOnce) {
  TemporaryFolder folder;
  for (const char* name :
       {"z/b.txt", "z/a.md.gz", "z/deep/c.jsonl.zst", "z/pic.png", "d.tex", "e.txt.bz2"}) {
    folder.write(name, "x");
  }
  auto names = [&](const std::vector<std::string>& inputs) {
    std::vector<std::string> found;
    for (const auto& file : find_document_files(inputs)) found.push_back(file.filename());
    return found;
  };
  EXPECT_THAT(names({folder.path("z")}), ElementsAre("a.md.gz", "b.txt", "c.jsonl.zst"));
  EXPECT_THAT(names({folder.path("*")}), ElementsAre("d.tex", "a.md.gz", "b.txt", "c.jsonl.zst"));
  EXPECT_THAT(names({folder.path("z/b.txt"), folder.path("z"), folder.path("z/*.txt")}),
              ElementsAre("b.txt", "a.md.gz", "c.jsonl.zst"));
}

TEST(DocumentFiles, PassOverLinksThatLeadInACircle) {
  TemporaryFolder folder;
  folder.write("a.txt", "x");
  std::filesystem::create_symlink(folder.path("loop.txt"), folder.path("loop.txt"));
  std::filesystem::create_symlink(folder.path(), folder.path("again"));
  EXPECT_THAT(find_document_files({folder.path("")}), testing::SizeIs(1));
}

TEST(DocumentFiles, SayWhatMatchesNothing) {
  TemporaryFolder folder;
  folder.write("pic.png", "x");
  EXPECT_THAT(complaint({folder.path("none.txt")}), HasSubstr("no such file"));
  EXPECT_THAT(complaint({folder.path("*.txt")}), HasSubstr("holds no documents"));
  EXPECT_THAT(complaint({folder.path("")}), HasSubstr("holds no documents"));
  EXPECT_THAT(complaint({folder.path("pic.png")}), HasSubstr(".jsonl"));
}

}  // namespace
}  // namespace longspan
