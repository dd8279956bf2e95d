#include "src/core/sha256.h"

#include <gtest/gtest.h>

namespace longspan {
namespace {

std::string digest(const std::string& text) {
  Sha256 sha;
  sha.update(text);
  return sha.hex_digest();
}

TEST(Sha256, GivesTheDigestsOfTheStandard) {  // FIPS 180-4, examples
  EXPECT_EQ(digest(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(digest("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(digest(std::string(1000000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, DoesNotDependOnHowTheBytesArrive) {
  Sha256 sha;
  for (int i = 0; i < 200; ++i) sha.update("a");
  EXPECT_EQ(sha.hex_digest(), digest(std::string(200, 'a')));
}

}  // namespace
}  // namespace longspan
