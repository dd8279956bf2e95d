#include "data/tokenizers/sentencepiece.h"

#include <gmock/gmock.h>

#include "src/core/text.h"
#include "tests/data/temporary_folder.h"
#include "tests/support/places.h"

namespace longspan {
namespace {

using testing::HasSubstr;

const std::string kModels = (source_folder() / "tests/data/reference/").string();

Json json_of(const std::string& proto, bool cut_freely = false) {
  Json decoder = {{"type", "Sequence"}, {"decoders", Json::array({{{"type", "Fuse"}}})}};
  return {{"added_tokens", Json::array()},
          {"decoder", decoder},
          {"model",
           {{"type", "SentencePiece"},
            {"proto", Json::binary({proto.begin(), proto.end()})},
            {"cut_freely", cut_freely}}}};
}

std::string model(const std::string& name) {
  return read_file(kModels + "sentencepiece/" + name + ".model", ExitCode::kModel);
}

// Golden: sentencepiece 0.2.0, by reference/make_sentencepiece.py.
TEST(SentencePiece, GivesTheIdsOfTheLibraryOfPython) {
  Json golden = read_json_file(kModels + "sentencepiece.json", ExitCode::kFailure);
  ASSERT_GE(golden["ids"].size(), 8u);
  for (const auto& [name, ids] : golden["ids"].items()) {
    auto tokenizer = make_tokenizer(json_of(model(name)), name);
    for (size_t i = 0; i < ids.size(); ++i) {
      auto text = golden["texts"][i].get<std::string>();
      EXPECT_EQ(tokenizer->encode(text), ids[i].get<std::vector<int32_t>>())
          << name << ": " << text;
    }
  }
}

// The same text, with and without what the library may be spared.
TEST(SentencePiece, CutsFreelyToTheSameIds) {
  const std::string proto = read_file(kModels + "llama2/tokenizer.model", ExitCode::kModel);
  auto whole = make_tokenizer(json_of(proto), "whole");
  Json texts = read_json_file(kModels + "sentencepiece.json", ExitCode::kFailure)["texts"];
  std::string all;
  for (const auto& text : texts) all += text.get<std::string>() + "\n";
  auto ids = whole->encode(all);
  ASSERT_GT(ids.size(), 1000u);
  // A part that is cut off begins with the library's own blank, but for what is put before it.
  Json json = json_of(proto, true);
  auto& bytes = json["model"]["proto"].get_binary();
  constexpr std::string_view kNoPrefix("\x1A\x02\x18\x00", 4);  // normalizer_spec.add_dummy_prefix
  bytes.insert(bytes.end(), kNoPrefix.begin(), kNoPrefix.end());
  json["normalizer"] = {
      {"type", "Sequence"},
      {"normalizers",
       {{{"type", "Prepend"}, {"prepend", "\u2581"}},
        {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "\u2581"}}}}};
  EXPECT_EQ(make_tokenizer(json, "freely")->encode(all), ids);
}

TEST(SentencePiece, CountsTheCharactersThatNoPieceHas) {
  auto tokenizer = make_tokenizer(json_of(model("bpe")), "bpe");
  EncodeNotes notes;
  auto ids = tokenizer->encode_noting("the \u4e01\u4e01 of \u4e02", notes);
  EXPECT_EQ(notes.lost, (std::map<std::string, int64_t>{{"\u4e01", 2}, {"\u4e02", 1}}));
  EXPECT_EQ(ids, tokenizer->encode("the \u4e01\u4e01 of \u4e02"));
}

TEST(SentencePiece, RefusesWhatIsNoModel) {
  auto refusal = [](const Json& json) {
    std::string what = "no error";
    exit_code_of([&] { make_tokenizer(json, "t"); }, &what);
    return what;
  };
  EXPECT_THAT(refusal(json_of("none")), HasSubstr("t: SentencePiece: "));
  Json text = json_of("");
  text["model"]["proto"] = "text";
  EXPECT_THAT(refusal(text), HasSubstr("is not that of a tokenizer.json"));
}

}  // namespace
}  // namespace longspan
