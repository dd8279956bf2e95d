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
  return documents.size() == 1 ? documents[0].text() : "not one document";
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

TEST(Documents, ReadGzipWithZerosBehindItsMembers) {
  TemporaryFolder folder;
  const std::string zeros(300'000, '\0');  // more than is read at once
  EXPECT_EQ(text_of(folder.write("a.txt.gz", gzip("one") + zeros)), "one");
  EXPECT_EQ(text_of(folder.write("a.txt.gz", gzip("one ") + zeros + gzip("two") + "\0")),
            "one two");
  EXPECT_THAT(complaint({folder.write("a.txt.gz", zeros)}), HasSubstr("damaged"));
}

TEST(Documents, ReadZstandardWithALongWindow) {
  TemporaryFolder folder;
  // Magic, windows of 2^27 and more bytes, an RLE block of one byte that is the last.
  for (int window_log : {27, 28, 31}) {
    std::string frame("\x28\xB5\x2F\xFD\x00\xF0\x0B\x00\x00\x61", 10);
    frame[5] = static_cast<char>((window_log - 10) << 3);
    auto path = folder.write("a.txt.zst", frame);
    EXPECT_EQ(text_of(path), "a") << window_log;
    if (window_log == 27) continue;
    EXPECT_THAT(complaint({path}, {.max_window_bytes = 128 << 20}),
                testing::AllOf(HasSubstr("a.txt.zst"), HasSubstr("128 MiB")));
  }
}

TEST(Documents, ReadEndingsInCapitals) {
  TemporaryFolder folder;
  EXPECT_EQ(text_of(folder.write("BOOK.TXT", "one")), "one");
  EXPECT_EQ(text_of(folder.write("NOTES.Md.GZ", gzip("two"))), "two");
  EXPECT_EQ(text_of(folder.write("DATA.JSONL", "{\"text\": \"three\"}")), "three");
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
    EXPECT_EQ(documents[0].text(), "one\n\xC3\xA9");
    EXPECT_EQ(documents[0].name, path + ":1");
    EXPECT_EQ(documents[1].name, path + ":4");
  }
  auto path = folder.write("b.jsonl", "{\"body\": \"three\"}\n");
  EXPECT_EQ(read({path}, {.text_key = "body"})[0].text(), "three");
}

TEST(Documents, NameTheLineOfABadRecord) {
  TemporaryFolder folder;
  auto second = [&](const std::string& line) {
    return complaint({folder.write("a.jsonl", "{\"text\": \"x\"}\n" + line + "\n")},
                     {.strict = true});
  };
  EXPECT_THAT(second("{\"text\": "), HasSubstr("a.jsonl:2"));
  EXPECT_THAT(second("[1]"), HasSubstr("a.jsonl:2"));
  EXPECT_THAT(second("{\"content\": \"y\"}"),
              testing::AllOf(HasSubstr("a.jsonl:2"), HasSubstr("content")));
  EXPECT_THAT(second("{\"text\": 7}"), HasSubstr("no string"));
}

TEST(Documents, PassOverBadRecordsAndNameThem) {
  TemporaryFolder folder;
  auto path =
      folder.write("a.jsonl",
                   "{\"text\": \"one\"}\n{\"text\": \n[1]\n{\"text\": \"\xD5\xE2\xCA\xC7\xD6\xD0"
                   "\xB9\xFA\xB5\xC4\xBA\xCF\xCD\xAC\xB7\xA8\xC2\xC9\xD6\xC6\xB6\xC8\"}\n"
                   "{\"body\": \"x\"}\n{\"text\": \"two\"}\n");
  auto source = open_documents({{path}}, {});
  EXPECT_EQ(source->next()->text(), "one");
  EXPECT_EQ(source->next()->name, path + ":6");
  EXPECT_FALSE(source->next());
  const Notices& bad = source->report().bad_records;
  EXPECT_EQ(bad.count(), 4);
  EXPECT_THAT(bad.first(), ElementsAre(HasSubstr("a.jsonl:2: not valid JSON"),
                                       HasSubstr("a.jsonl:3: the record is no map"),
                                       HasSubstr("a.jsonl:4: is not in UTF-8")));
  EXPECT_EQ(bad.lines().back(), "and 1 more");
}

TEST(Documents, OfAnotherEncodingAreRefusedWhereTheirRecordsAreShortToo) {
  TemporaryFolder folder;
  std::string lines;
  for (int i = 0; i < 100; ++i) lines += "{\"text\": \"\xB5\xDA\xD2\xBB\xD5\xC2\"}\n";  // 第一章
  EXPECT_THAT(complaint({folder.write("a.jsonl", lines)}),
              HasSubstr("a.jsonl: is not in UTF-8 but most likely in GB18030; convert it: iconv"));
}

TEST(Documents, OfBadRecordsAloneAreAnErrorThatNamesTheFirst) {
  TemporaryFolder folder;
  EXPECT_THAT(complaint({folder.write("a.jsonl", "{\"body\": \"x\"}\n{\"body\": \"y\"}\n")}),
              testing::AllOf(HasSubstr("a.jsonl:1"), HasSubstr("'text' but body")));
}

TEST(Documents, ReadRecordsAsPythonWritesThem) {
  TemporaryFolder folder;
  auto documents = read({folder.write("a.jsonl",
                                      "{\"score\": NaN, \"text\": \"one\"}\n"
                                      "{\"text\": \"two\", \"x\": [-Infinity, 1e999]}\n"
                                      "{\"text\": null}\n{\"text\": NaN}\n{\"text\": \"NaN\"}\n"
                                      "\xEF\xBB\xBF{\"text\": \"four\"}\n")},
                        {.strict = true});
  ASSERT_EQ(documents.size(), 4u);
  EXPECT_EQ(documents[0].text(), "one");
  EXPECT_EQ(documents[1].text(), "two");
  EXPECT_EQ(documents[2].text(), "NaN");
  EXPECT_EQ(documents[3].text(), "four");
}

TEST(Documents, PassOverABadFileOfMany) {
  TemporaryFolder folder;
  folder.write("a.txt", "one");
  folder.write("b.txt", std::string("\0\5\x16\7\0\2\0\0Mac OS X", 16));  // AppleDouble
  folder.write("c.txt.gz", gzip(long_text()).substr(0, 1000));
  folder.write("d.txt", "two");
  auto source = open_documents(find_document_files({folder.path("")}), {});
  EXPECT_EQ(source->next()->text(), "one");
  EXPECT_EQ(source->next()->text(), "two");
  EXPECT_FALSE(source->next());
  EXPECT_THAT(source->report().bad_files.first(),
              ElementsAre(testing::AllOf(HasSubstr("b.txt"), HasSubstr("NUL")),
                          testing::AllOf(HasSubstr("c.txt.gz"), HasSubstr("ends early"))));
  EXPECT_THAT(complaint({folder.path("")}, {.strict = true}), HasSubstr("b.txt"));
}

TEST(Documents, OfBadFilesAloneAreAnErrorThatNamesTheFirst) {
  TemporaryFolder folder;
  folder.write("a.txt", std::string("a\0", 2));
  folder.write("b.txt", std::string("b\0", 2));
  EXPECT_THAT(complaint({folder.path("")}), HasSubstr("a.txt"));
}

TEST(Documents, KeepWhatCameBeforeTheFaultOfAFile) {
  TemporaryFolder folder;
  std::string lines;
  for (int i = 0; i < 20000; ++i) lines += "{\"text\": \"" + std::to_string(i * 7919) + "\"}\n";
  folder.write("a.jsonl.gz", gzip(lines).substr(0, 30000));
  folder.write("b.txt", "last");
  auto documents = read({folder.path("")});
  EXPECT_GT(documents.size(), 1000u);
  EXPECT_EQ(documents.back().text(), "last");
  EXPECT_THAT(complaint({folder.path("a.jsonl.gz")}), HasSubstr("ends early"));
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
  EXPECT_EQ(source->next()->text(), "x");
  EXPECT_FALSE(source->next());
  EXPECT_EQ(source->report().empty_documents, 2);
}

TEST(Documents, RepairWhatIsNoUtf8AndDropAByteOrderMark) {
  TemporaryFolder folder;
  auto source = open_documents({{folder.write("a.txt",
                                              "\xEF\xBB\xBF"
                                              "caf\xE9 \xFF")}},
                               {});
  EXPECT_EQ(source->next()->text(), "caf\xEF\xBF\xBD \xEF\xBF\xBD");
  EXPECT_EQ(source->report().replaced_sequences, 2);
}

TEST(Documents, CountWhatWasRepairedByFile) {
  TemporaryFolder folder;
  folder.write("a.txt", "caf\xE9 \xFF");
  folder.write("b.txt", "good");
  folder.write("c.jsonl", "{\"text\": \"\xE9\"}\n{\"text\": \"x\"}\n{\"text\": \"\\u0000\xFF\"}\n");
  auto source = open_documents(find_document_files({folder.path("")}), {});
  while (source->next()) continue;
  EXPECT_EQ(source->report().replaced_sequences, 5);
  EXPECT_THAT(source->report().repaired_files.first(),
              ElementsAre(HasSubstr("a.txt (2)"), HasSubstr("c.jsonl (3)")));
  EXPECT_THAT(complaint({folder.path("")}, {.strict = true}),
              testing::AllOf(HasSubstr("a.txt"), HasSubstr("2 sequences")));
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
        open_documents({{folder.write("a.jsonl", "{\"text\": \"" + given.json + "\"}\n")}}, {});
    EXPECT_EQ(source->next()->text(), given.text);
    EXPECT_EQ(source->report().replaced_sequences, given.replaced) << given.text;
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
  for (const auto& file : find_document_files({folder.path("")}).paths) {
    stored += static_cast<int64_t>(std::filesystem::file_size(file));
  }
  for (const auto& document : read({folder.path("")})) consumed += document.raw_bytes;
  EXPECT_EQ(consumed, stored);
}

}  // namespace
}  // namespace longspan
