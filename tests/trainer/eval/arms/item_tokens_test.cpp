#include "trainer/eval/arms/item_tokens.h"

#include <gmock/gmock.h>

#include "tests/support/errors.h"
#include "tests/trainer/eval/arms/arm_fixtures.h"

namespace longspan {
namespace {

std::string bytes(const std::vector<int64_t>& ids, int64_t begin, int64_t end) {
  return {ids.begin() + begin, ids.begin() + end};
}
std::string bytes(const std::vector<int64_t>& ids) { return bytes(ids, 0, std::ssize(ids)); }

TEST(ItemTokens, AreInstructionContextAndQuestion) {
  Item item = byte_item(20, "right", "\nWhich?");
  item.question.distractors = {"wrong", "w"};
  const auto tokens = tokenize_item(ByteTokenizer(), 1, item.passage, item.question);
  EXPECT_EQ(tokens.prompt[0], 1);
  EXPECT_EQ(bytes(tokens.prompt, 1, std::ssize(tokens.prompt)),
            "Read this:\n" + item.passage.context + "\nWhich?");
  EXPECT_EQ(bytes(tokens.prompt, tokens.context_begin, tokens.context_end), item.passage.context);
  EXPECT_EQ(bytes(tokens.answer), " right");
  ASSERT_EQ(tokens.distractors.size(), 2u);
  EXPECT_EQ(bytes(tokens.distractors[0]), " wrong");
  EXPECT_EQ(bytes(tokens.distractors[1]), " w");
  EXPECT_EQ(tokens.size(), std::ssize(tokens.prompt) + 6);
}

/// Two equal letters are one token.
class PairTokenizer : public ByteTokenizer {
 public:
  std::vector<int32_t> encode(std::string_view text) const override {
    std::vector<int32_t> ids;
    for (size_t i = 0; i < text.size(); ++i) {
      const bool pair = i + 1 < text.size() && text[i] == text[i + 1];
      ids.push_back(static_cast<unsigned char>(text[i]) + (pair ? 128 : 0));
      if (pair) ++i;
    }
    return ids;
  }
};

TEST(ItemTokens, ATokenThatTwoPartsShareBelongsToTheLater) {
  const Passage passage{"ab", "bcde"};
  const Question question{
      .text = "efg", .answers = {"gh"}, .answer_prefix = "", .distractors = {"kl", "gk"}};
  const auto tokens = tokenize_item(PairTokenizer(), {}, passage, question);
  const std::vector<int64_t> prompt{'a', 'b' + 128, 'c', 'd', 'e' + 128, 'f'};
  EXPECT_EQ(tokens.prompt, prompt);
  EXPECT_EQ(tokens.context_begin, 1);
  EXPECT_EQ(tokens.context_end, 4);
  EXPECT_EQ(tokens.answer, (std::vector<int64_t>{'g' + 128, 'h'}));
  EXPECT_EQ(tokens.distractors[0], (std::vector<int64_t>{'g', 'k', 'l'}));
  EXPECT_EQ(tokens.distractors[1], (std::vector<int64_t>{'g' + 128, 'k'}));
}

TEST(ItemTokens, AQuestionNeedsAnAnswer) {
  Item item = byte_item(20, "");
  EXPECT_THAT(error_of([&] { tokenize_item(ByteTokenizer(), {}, item.passage, item.question); },
                       ExitCode::kData),
              ::testing::HasSubstr("has no answer"));
}

}  // namespace
}  // namespace longspan
