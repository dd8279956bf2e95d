#include "tools/hub/hub_file.h"

#include <gmock/gmock.h>

#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"

namespace longspan {
namespace {

using testing::HasSubstr;

const std::string kSha1(40, 'a'), kSha256(64, 'b');

std::string entry_refused(const Json& entry) {
  return error_of([&] { read_hub_file(entry, "the hub"); }, ExitCode::kFailure);
}

TEST(HubFile, IsReadWithTheDigestOfItsKind) {
  HubFile small =
      read_hub_file({{"rfilename", "config.json"}, {"size", 7u}, {"blobId", kSha1}}, "");
  EXPECT_EQ(small.name, "config.json");
  EXPECT_EQ(small.size, 7);
  EXPECT_EQ(small.digest, kSha1);
  HubFile large = read_hub_file({{"rfilename", "a/model.safetensors"},
                                 {"size", 9u},
                                 {"blobId", kSha1},
                                 {"lfs", {{"sha256", kSha256}, {"size", 9u}}}},
                                "");
  EXPECT_EQ(large.digest, kSha256);
}

TEST(HubFile, ANameThatLeadsOutOfTheSnapshotIsRefused) {
  for (const char* name : {"", "..", "../a", "a/../../b", "/etc/passwd", "a//b", "a\\b", "./a"}) {
    EXPECT_THAT(entry_refused({{"rfilename", name}, {"size", 1u}, {"blobId", kSha1}}),
                HasSubstr("the hub: the server describes a file in an unknown way"))
        << name;
  }
}

TEST(HubFile, AnEntryWithoutSizeOrDigestIsRefused) {
  EXPECT_THAT(entry_refused(nullptr), HasSubstr("in an unknown way"));
  EXPECT_THAT(entry_refused({{"rfilename", "a"}, {"blobId", kSha1}}),
              HasSubstr("in an unknown way"));
  EXPECT_THAT(entry_refused({{"rfilename", "a"}, {"size", -1}, {"blobId", kSha1}}),
              HasSubstr("in an unknown way"));
  EXPECT_THAT(entry_refused({{"rfilename", "a"}, {"size", 1u}, {"blobId", "abc"}}),
              HasSubstr("in an unknown way"));
  EXPECT_THAT(entry_refused({{"rfilename", "a"}, {"size", 1u}, {"blobId", std::string(40, 'Z')}}),
              HasSubstr("in an unknown way"));
  Json short_lfs = {
      {"rfilename", "a"}, {"size", 1u}, {"blobId", kSha1}, {"lfs", {{"sha256", kSha1}}}};
  EXPECT_THAT(entry_refused(short_lfs), HasSubstr("in an unknown way"));
}

/// Of `printf 'hello\n' | git hash-object --stdin` (git 2.39) and of sha256sum (coreutils 9.1).
TEST(HubFile, DigestsAreThoseOfGitAndOfSha256) {
  TemporaryFolder folder;
  const std::string path = folder.write("hello", "hello\n");
  EXPECT_EQ(digest_of(path, {"hello", 6, kSha1}), "ce013625030ba8dba906f756967f9e9ca394464a");
  EXPECT_EQ(digest_of(path, {"hello", 6, kSha256}),
            "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03");
}

}  // namespace
}  // namespace longspan
