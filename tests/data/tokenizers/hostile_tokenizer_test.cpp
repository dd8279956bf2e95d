#include <gmock/gmock.h>

#include "data/tokenizers/tokenizer.h"
#include "tests/data/temporary_folder.h"

namespace longspan {
namespace {

using testing::HasSubstr;

/// A byte-level BPE of three tokens.
Json byte_level() {
  return {{"added_tokens", Json::array()},
          {"normalizer", nullptr},
          {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}}},
          {"model",
           {{"type", "BPE"}, {"vocab", {{"a", 0}, {"b", 1}, {"ab", 2}}}, {"merges", {"a b"}}}}};
}

/// A byte-fallback BPE of the bytes and "a".
Json byte_fallback() {
  Json vocab = {{"a", 256}};
  for (int byte = 0; byte < 256; ++byte) vocab[fmt::format("<0x{:02X}>", byte)] = byte;
  return {
      {"normalizer", nullptr},
      {"pre_tokenizer", nullptr},
      {"decoder", {{"type", "ByteFallback"}}},
      {"model",
       {{"type", "BPE"}, {"byte_fallback", true}, {"vocab", vocab}, {"merges", Json::array()}}}};
}

std::string refused(const Json& tokenizer_json) {
  std::string what = "no error";
  exit_code_of([&] { make_tokenizer(tokenizer_json, "x"); }, &what);
  return what;
}

Json repeated(const char* list, int count, const Json& step) {
  Json steps = Json::array();
  for (int i = 0; i < count; ++i) steps.push_back(step);
  return {{"type", "Sequence"}, {list, steps}};
}

Json replace(const char* from, const char* to) {
  return {{"type", "Replace"}, {"pattern", {{"String", from}}}, {"content", to}};
}

TEST(HostileTokenizer, IdsThatNoTokenHasAreErrors) {
  EXPECT_EQ(refused(byte_level()), "no error");
  for (const Json& id : {Json(1'000'000'000), Json(1 << 24), Json(-1), Json(UINT64_MAX),
                         Json(1e300), Json(3.5), Json("3"), Json()}) {
    Json json = byte_level();
    json["model"]["vocab"]["c"] = id;
    EXPECT_THAT(refused(json), HasSubstr("x: ")) << id;
    json = byte_level();
    json["added_tokens"].push_back({{"id", id}, {"content", "<s>"}});
    EXPECT_THAT(refused(json), HasSubstr("x: ")) << id;
  }
}

TEST(HostileTokenizer, StepsThatMakeATextGrowWithoutBoundAreErrors) {
  EXPECT_EQ(refused(byte_fallback()), "no error");
  Json json = byte_fallback();
  json["normalizer"] = repeated("normalizers", 100, replace("aa", "aaa"));
  EXPECT_THAT(refused(json), HasSubstr("times as long"));

  json = byte_fallback();
  json["pre_tokenizer"] =
      repeated("pretokenizers", 30, {{"type", "Metaspace"}, {"replacement", "  "}});
  EXPECT_THAT(refused(json), HasSubstr("one character"));

  json = byte_fallback();
  json["decoder"] = repeated("decoders", 100, replace("a", "aa"));
  EXPECT_THAT(refused(json), HasSubstr("times as long"));
}

TEST(HostileTokenizer, AReplacementOfNothingIsAnError) {
  for (const Json& step : {replace("", "a"), Json{{"type", "Metaspace"}, {"replacement", ""}}}) {
    Json json = byte_fallback();
    json["decoder"] = step;
    EXPECT_THAT(refused(json), HasSubstr("decoder: replaces an empty text"));
  }
}

TEST(HostileTokenizer, StepsBeyondCountAreErrors) {
  Json json = byte_level();
  json["pre_tokenizer"] = repeated("pretokenizers", 100'000, {{"type", "Digits"}});
  EXPECT_THAT(refused(json), HasSubstr("so many steps"));
}

TEST(HostileTokenizer, APatternCannotCutWithinACharacter) {
  Json json = byte_level();
  Json split = {{"type", "Split"}, {"pattern", {{"Regex", "\\C"}}}, {"behavior", "Isolated"}};
  json["pre_tokenizer"] = {{"type", "Sequence"},
                           {"pretokenizers", {split, byte_level()["pre_tokenizer"]}}};
  EXPECT_THAT(refused(json), HasSubstr("cannot be used"));
}

TEST(HostileTokenizer, APatternThatBacktracksWithoutEndIsAnError) {
  Json json = byte_level();
  Json split = {{"type", "Split"}, {"pattern", {{"Regex", "(a+)+b"}}}, {"behavior", "Isolated"}};
  json["pre_tokenizer"] = {{"type", "Sequence"},
                           {"pretokenizers", {split, byte_level()["pre_tokenizer"]}}};
  auto tokenizer = make_tokenizer(json, "x");
  std::string what;
  exit_code_of([&] { tokenizer->encode(std::string(63, 'a') + "cb"); }, &what);
  EXPECT_THAT(what, HasSubstr("the pattern '(a+)+b' fails on a text of 65 bytes"));
}

}  // namespace
}  // namespace longspan
