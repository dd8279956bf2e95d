#include "checkpoints/sentencepiece/sentencepiece_model.h"

#include <gmock/gmock.h>

#include "src/core/text.h"
#include "tests/support/errors.h"
#include "tests/support/places.h"

namespace longspan {
namespace {

using testing::HasSubstr;

// Made by sentencepiece 0.2.3: tests/data/reference/make_tokenizers.py.
std::string sentencepiece_model() {
  return read_file(source_folder() / "tests/data/reference/llama2/tokenizer.model",
                   ExitCode::kModel);
}

TEST(SentencePieceModel, ReadsPiecesAndSpecs) {
  SentencePieceModel model = read_sentencepiece_model(sentencepiece_model(), "t");
  ASSERT_EQ(model.pieces.size(), 700u);
  EXPECT_EQ(model.pieces[1], "<s>");
  EXPECT_EQ(model.types[0], GgufTokenType::kUnknown);
  EXPECT_EQ(model.types[2], GgufTokenType::kControl);
  EXPECT_EQ(model.types[3], GgufTokenType::kUserDefined);
  EXPECT_EQ(model.types[4], GgufTokenType::kByte);
  EXPECT_EQ(model.algorithm, SentencePieceModel::Algorithm::kBpe);
  EXPECT_TRUE(model.byte_fallback);
  EXPECT_FALSE(model.remove_extra_whitespaces);
}

TEST(SentencePieceModel, IsWrittenAsItWasRead) {
  const SentencePieceModel model = read_sentencepiece_model(sentencepiece_model(), "t");
  const SentencePieceModel again =
      read_sentencepiece_model(write_sentencepiece_model(model), "again");
  EXPECT_EQ(again.pieces, model.pieces);
  EXPECT_EQ(again.scores, model.scores);
  EXPECT_EQ(again.types, model.types);
  EXPECT_EQ(again.algorithm, model.algorithm);
  EXPECT_EQ(again.byte_fallback, model.byte_fallback);
  EXPECT_EQ(again.add_dummy_prefix, model.add_dummy_prefix);
  EXPECT_EQ(again.remove_extra_whitespaces, model.remove_extra_whitespaces);
}

TEST(SentencePieceModel, DamageIsAnError) {
  auto error = [](const std::string& bytes) {
    return error_of([&] { read_sentencepiece_model(bytes, "t.model"); });
  };
  EXPECT_THAT(error(""), HasSubstr("t.model: is no SentencePiece model"));
  EXPECT_THAT(error("IQ== 0\nIg== 1\n"), HasSubstr("tiktoken"));
  EXPECT_THAT(error("\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"), HasSubstr("damaged"));
  EXPECT_THAT(error("\x0A\x03\x0A\x01\xFF"), HasSubstr("not in UTF-8"));
  EXPECT_THAT(error(std::string("\x0A\x02\x0A\x00", 4)), HasSubstr("empty"));
  EXPECT_THAT(error("\x0A\x03\x0A\x01x\x0A\x03\x0A\x01x"), HasSubstr("twice: 'x'"));
  EXPECT_THAT(error("\x0A\x05\x0A\x01x\x18\x09"), HasSubstr("damaged"));
}

}  // namespace
}  // namespace longspan
