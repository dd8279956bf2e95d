#include "src/core/digest.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/temporary_folder.h"

namespace longspan {
namespace {

std::string digest(const std::string& text, Digest::Kind kind = Digest::Kind::kSha256) {
  Digest whole(kind);
  whole.update(text);
  return whole.hex();
}

TEST(Digest, GivesTheDigestsOfTheStandard) {  // FIPS 180-4, examples
  EXPECT_EQ(digest(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(digest("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(digest("abc", Digest::Kind::kSha1), "a9993e364706816aba3e25717850c26c9cd0d89d");
}

TEST(Digest, DoesNotDependOnHowTheBytesArrive) {
  Digest parts;
  for (int i = 0; i < 200; ++i) parts.update("a");
  EXPECT_EQ(parts.hex(), digest(std::string(200, 'a')));
}

TEST(Digest, ReadsAFileWholeOrSaysThatItCannot) {
  TemporaryFolder folder;
  const std::string text((size_t{3} << 20) / 2, 'a');  // more than is read at once
  std::ofstream(folder.path() / "file", std::ios::binary) << text;
  Digest of_file;
  EXPECT_TRUE(of_file.update_from(folder.path() / "file"));
  EXPECT_EQ(of_file.hex(), digest(text));
  EXPECT_FALSE(Digest().update_from(folder.path() / "none"));
}

}  // namespace
}  // namespace longspan
