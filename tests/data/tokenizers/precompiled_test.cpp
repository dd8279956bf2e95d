#include "data/tokenizers/precompiled.h"

#include <gmock/gmock.h>

#include <cstring>

#include "data/tokenizers/tokenizer.h"
#include "src/core/base64.h"
#include "tests/support/places.h"

namespace longspan {
namespace {

/// That of tests/data/reference/make_tokenizers.py.
std::string map_bytes() {
  const Json golden =
      read_json_file(source_folder() / "tests/data/reference/golden.json", ExitCode::kFailure);
  const Json& steps = golden["variants"]["precompiled"]["changes"]["normalizer"]["normalizers"];
  return *decode_base64(steps[0]["precompiled_charsmap"].get<std::string>());
}

std::string made(std::string_view text) {
  std::string storage;
  return std::string(with_precompiled(*CharacterMap::read(map_bytes()), text, storage));
}

// tokenizers 0.23.3: normalizers.Precompiled(...).normalize_str.
TEST(Precompiled, TheShortestBeginningOfAGraphemeDecides) {
  EXPECT_EQ(made("A\u0308b \ufb00 \u2167"), "ab ff VIII");  // A alone has a rule; its mark is lost
  EXPECT_EQ(made("e\u0301 e\u0301\u0327"), "\u00e9 \u00e9");
  EXPECT_EQ(made("\U0001f600\u200d"), ":)");  // of 7 bytes: each character by itself
  EXPECT_EQ(made("x\r\ny\n"), "x\ny\n");
}

TEST(CharacterMap, SaysHowMuchATextGrows) {
  EXPECT_EQ(CharacterMap::read(map_bytes())->growth(), 2u);  // 1/2 of two bytes, three of ①
}

TEST(CharacterMap, RefusesPlacesOutsideOfIt) {
  const std::string whole = map_bytes();
  for (size_t size : {size_t{0}, size_t{4}, size_t{100}, whole.size() - 1}) {
    EXPECT_FALSE(CharacterMap::read(whole.substr(0, size))) << size;
  }
  size_t refused = 0;
  for (size_t at = 4; at < whole.size(); at += 7) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x7F);
    const auto map = CharacterMap::read(damaged);
    refused += !map;
    std::string storage;
    if (map) with_precompiled(*map, "A\u00bd\u2167 e\u0301", storage);  // looks nowhere else
  }
  EXPECT_GT(refused, 0u);
}

}  // namespace
}  // namespace longspan
