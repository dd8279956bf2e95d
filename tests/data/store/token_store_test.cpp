#include "data/store/token_store.h"

#include <gmock/gmock.h>
#include <hdf5.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <random>

#include "data/store/token_store_writer.h"
#include "src/core/text.h"
#include "tests/data/temporary_folder.h"

namespace longspan {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::vector<int32_t> random_ids(size_t count, unsigned seed, int32_t vocab_size) {
  std::mt19937 draw(seed);
  std::vector<int32_t> ids(count);
  for (auto& id : ids) id = static_cast<int32_t>(draw() % static_cast<unsigned>(vocab_size));
  return ids;
}

void write_store(const std::string& path, const std::vector<std::vector<int32_t>>& documents,
                 int64_t vocab_size = 300) {
  TokenStoreWriter writer(path, "0123abcd", vocab_size);
  int number = 0;
  for (const auto& ids : documents) writer.append("book-" + std::to_string(number++) + ".txt", ids);
  writer.commit();
}

/// All that the store gives; throws what it throws.
std::vector<int32_t> read_all(const std::string& path) {
  TokenStore store(path);
  return store.read(0, store.info().tokens);
}

TEST(TokenStore, GivesBackWhatWasWritten) {
  TemporaryFolder folder;
  auto first = random_ids(150000, 1, 300), second = random_ids(7, 2, 300);
  write_store(folder.path("t.h5"), {first, {}, second});
  TokenStore store(folder.path("t.h5"));
  EXPECT_EQ(store.info().format_version, 2);
  EXPECT_TRUE(store.info().all_labels);
  EXPECT_EQ(store.info().tokenizer_fingerprint, "0123abcd");
  EXPECT_EQ(store.info().vocab_size, 300);
  EXPECT_EQ(store.info().documents, 3);
  EXPECT_EQ(store.info().tokens, 150007);
  EXPECT_EQ(store.documents()[1].tokens, 0);
  EXPECT_EQ(store.documents()[2].name, "book-2.txt");
  EXPECT_EQ(store.documents()[2].offset, 150000);
  EXPECT_EQ(store.read(0, 150000), first);
  EXPECT_EQ(store.read(150000, 7), second);
  EXPECT_EQ(store.read(65530, 12),
            std::vector<int32_t>(first.begin() + 65530, first.begin() + 65542));
  EXPECT_TRUE(store.read(150007, 0).empty());
}

TEST(TokenStore, TakesIdsOfAnySize) {
  TemporaryFolder folder;
  std::vector<int32_t> ids{0, 65535, 65536, 200019, INT32_MAX - 1};
  write_store(folder.path("t.h5"), {ids}, INT32_MAX);
  EXPECT_EQ(read_all(folder.path("t.h5")), ids);
}

TEST(TokenStore, TurnsDownRangesItDoesNotHave) {
  TemporaryFolder folder;
  write_store(folder.path("t.h5"), {random_ids(10, 1, 300)});
  TokenStore store(folder.path("t.h5"));
  for (auto [offset, count] :
       {std::pair<int64_t, int64_t>{-1, 2}, {0, 11}, {9, INT64_MAX}, {11, 0}, {3, -1}}) {
    EXPECT_EQ(exit_code_of([&] { store.read(offset, count); }), 4);
  }
}

TEST(TokenStore, AppearsOnlyOnCommit) {
  TemporaryFolder folder;
  folder.write("t.h5", "older");
  {
    TokenStoreWriter writer(folder.path("t.h5"), "f", 10);
    writer.append("a", {1, 2, 3});
  }
  EXPECT_EQ(read_file(folder.path("t.h5"), ExitCode::kData), "older");
  auto files = std::filesystem::directory_iterator(folder.path(""));
  EXPECT_EQ(std::distance(begin(files), end(files)), 1) << "a part is left";
}

TEST(TokenStore, TurnsDownIdsOutsideTheVocabulary) {
  TemporaryFolder folder;
  TokenStoreWriter writer(folder.path("t.h5"), "f", 10);
  std::string what;
  EXPECT_EQ(exit_code_of([&] { writer.append("a.txt", {3, 10}); }, &what), 4);
  EXPECT_THAT(what, HasSubstr("a.txt"));
  EXPECT_EQ(exit_code_of([&] { writer.append("a.txt", {-1}); }), 4);
}

TEST(TokenStore, SaysThatAFileIsNone) {
  TemporaryFolder folder;
  std::string what;
  EXPECT_EQ(exit_code_of([&] { read_all(folder.path("none.h5")); }, &what), 4);
  EXPECT_THAT(what, HasSubstr("no such token store"));
  EXPECT_EQ(exit_code_of([&] { read_all(folder.write("text.h5", "not HDF5")); }, &what), 4);
  EXPECT_THAT(what, HasSubstr("is no token store"));
  EXPECT_EQ(exit_code_of([&] { read_all(folder.write("empty.h5", "")); }), 4);
  ASSERT_EQ(mkfifo(folder.path("pipe.h5").c_str(), 0600), 0);
  EXPECT_EQ(exit_code_of([&] { read_all(folder.path("pipe.h5")); }, &what), 4);
  EXPECT_THAT(what, HasSubstr("is no token store"));

  hid_t other = H5Fcreate(folder.path("other.h5").c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  H5Fclose(other);
  EXPECT_EQ(exit_code_of([&] { read_all(folder.path("other.h5")); }, &what), 4);
  EXPECT_THAT(what, HasSubstr("is HDF5, but no token store"));
}

void set_format_version(const std::string& path, int64_t version) {
  hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  hid_t attribute = H5Aopen(file, "format_version", H5P_DEFAULT);
  H5Awrite(attribute, H5T_NATIVE_INT64, &version);
  H5Aclose(attribute);
  H5Fclose(file);
}

TEST(TokenStore, ReadsTheVersionBefore) {
  TemporaryFolder folder;
  write_store(folder.path("t.h5"), {{1, 2}});
  set_format_version(folder.path("t.h5"), 1);
  EXPECT_EQ(read_all(folder.path("t.h5")), (std::vector<int32_t>{1, 2}));
  EXPECT_EQ(TokenStore(folder.path("t.h5")).info().format_version, 1);
}

TEST(TokenStore, TurnsDownANewerVersion) {
  TemporaryFolder folder;
  write_store(folder.path("t.h5"), {{1, 2}});
  std::string what;
  for (int64_t version : {0, 3}) {
    set_format_version(folder.path("t.h5"), version);
    EXPECT_EQ(exit_code_of([&] { read_all(folder.path("t.h5")); }, &what), 4);
    EXPECT_THAT(what,
                HasSubstr(fmt::format("format version {}, this longspan reads 1 to 2", version)));
  }
}

TEST(TokenStore, KeepsWhichTokensAreLabels) {
  TemporaryFolder folder;
  const auto long_ids = random_ids(200'000, 1, 300);
  std::vector<uint8_t> some(1000), none(70'000, 0);
  for (size_t i = 0; i < some.size(); ++i) some[i] = i % 3 == 0;
  {
    TokenStoreWriter writer(folder.path("t.h5"), "f", 300);
    writer.append("all", long_ids);
    writer.append("some", random_ids(some.size(), 2, 300), some);
    writer.append("all again", random_ids(500, 3, 300), std::vector<uint8_t>(500, 1));
    writer.append("none", random_ids(none.size(), 4, 300), none);
    writer.append("all at the end", long_ids);
    writer.commit();
  }
  TokenStore store(folder.path("t.h5"));
  EXPECT_FALSE(store.info().all_labels);
  std::vector<uint8_t> expected(200'000, 1);
  expected.insert(expected.end(), some.begin(), some.end());
  expected.insert(expected.end(), 500, 1);
  expected.insert(expected.end(), none.begin(), none.end());
  expected.insert(expected.end(), 200'000, 1);
  EXPECT_EQ(store.read_is_label(0, store.info().tokens), expected);
  EXPECT_EQ(store.read_is_label(200'003, 3), (std::vector<uint8_t>{1, 0, 0}));
  EXPECT_EQ(store.read(0, 200'000), long_ids);
  EXPECT_EQ(exit_code_of([&] { store.read_is_label(0, store.info().tokens + 1); }), 4);
}

TEST(TokenStore, TakesNoRoomForLabelsWhereAllTokensAreSome) {
  TemporaryFolder folder;
  const auto ids = random_ids(100'000, 1, 300);
  write_store(folder.path("plain.h5"), {ids});
  {
    TokenStoreWriter writer(folder.path("flags.h5"), "0123abcd", 300);
    writer.append("book-0.txt", ids, std::vector<uint8_t>(ids.size(), 1));
    writer.commit();
  }
  // No time of its making is in a store. EXPECT_EQ would print all bytes.
  EXPECT_TRUE(read_file(folder.path("plain.h5"), ExitCode::kData) ==
              read_file(folder.path("flags.h5"), ExitCode::kData));
  EXPECT_TRUE(TokenStore(folder.path("flags.h5")).info().all_labels);
}

TEST(TokenStore, WantsAFlagForEachToken) {
  TemporaryFolder folder;
  TokenStoreWriter writer(folder.path("t.h5"), "f", 10);
  std::string what;
  EXPECT_EQ(exit_code_of([&] { writer.append("a.txt", {1, 2, 3}, {1, 0}); }, &what), 4);
  EXPECT_THAT(what, HasSubstr("a.txt: 2 label flags for 3 tokens"));
}

TEST(TokenStore, IsWrittenByOneAtATime) {
  TemporaryFolder folder;
  TokenStoreWriter first(folder.path("t.h5"), "f", 10);
  std::string what;
  EXPECT_EQ(exit_code_of([&] { TokenStoreWriter(folder.path("t.h5"), "f", 10); }, &what), 1);
  EXPECT_THAT(what, HasSubstr("another process is writing it"));
  first.append("a", {1, 2});
  first.commit();
  EXPECT_EQ(read_all(folder.path("t.h5")), (std::vector<int32_t>{1, 2}));
}

TEST(TokenStore, NoticesThatItWasCutOff) {
  TemporaryFolder folder;
  write_store(folder.path("t.h5"), {random_ids(100000, 1, 300), random_ids(500, 2, 300)});
  std::string bytes = read_file(folder.path("t.h5"), ExitCode::kData);
  for (size_t size = 1; size < bytes.size(); size += bytes.size() / 60) {
    auto path = folder.write("cut.h5", bytes.substr(0, size));
    std::string what;
    EXPECT_EQ(exit_code_of([&] { read_all(path); }, &what), 4) << size;
    EXPECT_THAT(what, StartsWith(path));
  }
}

TEST(TokenStore, NeverGivesWrongTokensFromFlippedBytes) {
  TemporaryFolder folder;
  auto ids = random_ids(3000, 1, 300);
  write_store(folder.path("t.h5"), {ids});
  const std::string bytes = read_file(folder.path("t.h5"), ExitCode::kData);
  int noticed = 0;
  for (size_t at = 0; at < bytes.size(); at += 1 + at / 64) {
    std::string flipped = bytes;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x55);
    auto path = folder.write("flipped.h5", flipped);
    std::vector<int32_t> read;
    int code = exit_code_of([&] { read = read_all(path); });
    noticed += code == 4;
    EXPECT_TRUE(code == 4 || (code == 0 && read == ids)) << "byte " << at << ": " << code;
  }
  EXPECT_GT(noticed, 50);
}

TEST(TokenStore, SaysThatTheDiskIsFull) {
  TemporaryFolder folder;
  auto write_with_little_room = [&] {
    // A limit on the size of files acts as a full disk does.
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit limit{100000, 100000};
    setrlimit(RLIMIT_FSIZE, &limit);
    std::string what;
    int code = exit_code_of([&] { write_store(folder.path("t.h5"), {random_ids(900000, 1, 300)}); },
                            &what);
    bool left = std::filesystem::exists(folder.path("t.h5"));
    std::fprintf(stderr, "code %d, left %d: %s\n", code, left, what.c_str());
    std::exit(code);
  };
  EXPECT_EXIT(write_with_little_room(), testing::ExitedWithCode(1),
              "left 0: .*t.h5: cannot write: ");
}

}  // namespace
}  // namespace longspan
