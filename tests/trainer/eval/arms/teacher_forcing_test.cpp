#include "trainer/eval/arms/teacher_forcing.h"

#include <ATen/ops/empty.h>
#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "src/model/decoder.h"
#include "src/model/generate.h"
#include "tests/trainer/eval/arms/arm_fixtures.h"

namespace longspan {
namespace {

using ::testing::ElementsAre;

/// Notes the rows of each pass.
class NotingModel : public Decoder {
 public:
  NotingModel() : Decoder(byte_model()->config()) {
    at::manual_seed(1);
    visit_parameters("", [](const std::string&, at::Tensor& parameter) {
      parameter = at::empty(parameter.sizes(), at::kFloat).normal_(0, 0.2);
    });
  }
  at::Tensor hidden_states(const ModelInput& input, ModelState* state) override {
    rows.push_back(input.input_ids.size(0));
    return Decoder::hidden_states(input, state);
  }

  std::vector<int64_t> rows;
};

class TeacherForcing : public ::testing::Test {
 protected:
  ItemTokens tokens_of(const std::string& answer, const std::vector<std::string>& distractors) {
    Item item = byte_item(100, answer);
    item.question.distractors = distractors;
    return tokenize_item(tokenizer_, {}, item.passage, item.question);
  }
  FedAnswer feed(const ItemTokens& item, FedLengths lengths = FedLengths::kAlike) {
    ModelState state;
    prefill(model_, {item.prompt.begin(), item.prompt.end() - 1}, state, 4096);
    model_.rows.clear();
    const auto prompt_read = [&](int64_t) -> const ModelState& { return state; };
    return feed_answer(model_, item, prompt_read, lengths);
  }

  NotingModel model_;
  ByteTokenizer tokenizer_;
};

/// With the ranks and losses of one pass for each answer, whichever go together.
TEST_F(TeacherForcing, RanksAsPassesOneByOneDo) {
  const std::vector<std::string> wrong{"zebras", "x", "number", "ab", "others", "anchor", "yz"};
  int64_t ranks = 0;
  for (const char* answer : {"answer", "qq", "longest answer"}) {
    const FedAnswer alone = feed(tokens_of(answer, {}));
    int64_t rank = 1;
    for (const auto& distractor : wrong) {
      rank += feed(tokens_of(distractor, {})).nll < alone.nll ? 1 : 0;
    }
    for (const FedLengths lengths : {FedLengths::kAlike, FedLengths::kEqual}) {
      const FedAnswer fed = feed(tokens_of(answer, wrong), lengths);
      EXPECT_NEAR(fed.nll, alone.nll, loss_bound(model_, alone.nll));
      EXPECT_EQ(fed.token_accuracy, alone.token_accuracy);
      EXPECT_EQ(fed.choices, alone.choices);
      EXPECT_EQ(fed.rank, rank) << answer;
    }
    ranks += rank;
  }
  EXPECT_GT(ranks, 3);  // not the first each time: the test could not fail
}

TEST_F(TeacherForcing, ReadsAnswersOfAboutOneLengthInOnePass) {
  const ItemTokens item = tokens_of("answer", {"zebras", "x", "lines", "yz", "ab"});
  feed(item);  // of 7, 7, 2, 6, 3 and 3 bytes with the space
  EXPECT_THAT(model_.rows, ElementsAre(3, 3));
  feed(item, FedLengths::kEqual);
  EXPECT_THAT(model_.rows, ElementsAre(2, 1, 1, 2));
  EXPECT_EQ(feed(tokens_of("answer", {})).rank, std::nullopt);
  EXPECT_THAT(model_.rows, ElementsAre(1));
  feed(tokens_of("b", std::vector<std::string>(20, "a")));
  EXPECT_THAT(model_.rows, ElementsAre(16, 5));  // no more at once
}

/// Of the answer " answer" and others that begin " ax" and " anc" the tokens "n" and "s" tell; an
/// answer that another goes on from is told by its last one.
TEST_F(TeacherForcing, TheTokensThatTellAnAnswerFromOthersAreScoredApart) {
  const auto sum_of = [&](const std::string& answer) {
    return feed(tokens_of(answer, {})).nll * static_cast<double>(answer.size() + 1);
  };
  const double bound = 10 * loss_bound(model_, sum_of("answer"));
  EXPECT_EQ(feed(tokens_of("answer", {})).choice_nll, std::nullopt);
  for (const FedLengths lengths : {FedLengths::kAlike, FedLengths::kEqual}) {
    const FedAnswer fed = feed(tokens_of("answer", {"anchor", "axis", "ax"}), lengths);
    ASSERT_TRUE(fed.choice_nll);
    EXPECT_NEAR(*fed.choice_nll, sum_of("ans") - sum_of("a"), bound);
    const FedAnswer beginning = feed(tokens_of("an", {"answer"}), lengths);
    EXPECT_NEAR(*beginning.choice_nll, sum_of("an") - sum_of("a"), bound);
  }
}

TEST_F(TeacherForcing, RanksNothingWhereTheLossIsNotFinite) {
  model_.visit_parameters("", [](const std::string& name, at::Tensor& parameter) {
    if (name == "model.norm.weight") parameter.fill_(std::numeric_limits<double>::quiet_NaN());
  });
  const FedAnswer fed = feed(tokens_of("answer", {"other"}));
  EXPECT_TRUE(std::isnan(fed.nll));
  EXPECT_EQ(fed.choice_nll, std::nullopt);
  EXPECT_EQ(fed.rank, std::nullopt);
}

}  // namespace
}  // namespace longspan
