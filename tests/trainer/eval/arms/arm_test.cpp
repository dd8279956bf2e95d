#include "trainer/eval/arms/arm.h"

#include <gmock/gmock.h>

#include <cmath>

#include "tests/support/errors.h"
#include "tests/support/float32_bound.h"
#include "tests/trainer/eval/arms/arm_fixtures.h"
#include "trainer/eval/eval_task.h"

namespace longspan {
namespace {

/// Those that read without being told how.
std::vector<std::string> arms_without_keys() {
  std::vector<std::string> names = eval_arms();
  std::erase(names, "rope");
  return names;
}

TEST(Arm, EachIsMadeByItsName) {
  for (const auto& name : eval_arms()) EXPECT_EQ(make_arm(name)->name(), name);
  EXPECT_EQ(make_arm("ful"), nullptr);
}

TEST(Arm, NoneHasTheNameOfATask) {
  for (const auto& name : eval_arms()) EXPECT_EQ(make_eval_task(name), nullptr) << name;
}

TEST(Arm, ReadsWhatItWrites) {
  for (const auto& name : eval_arms()) {
    const Json keys = make_arm(name)->write();
    EXPECT_EQ(arm_with(name, keys)->write(), keys) << name;
  }
}

/// The model is as it was, whatever an arm makes of it to read.
TEST(Arm, LeavesTheModelAlone) {
  auto model = byte_model();
  const ByteTokenizer tokenizer;
  const EvalSubject subject{*model, tokenizer, {}};
  const Item item = byte_item(120);
  const double nll = answer_by(*make_arm("full"), subject, item).nll;
  for (const auto& name : arms_without_keys()) {
    answer_by(*make_arm(name), subject, item);
    EXPECT_EQ(model->attention().name(), "full") << name;
    EXPECT_EQ(model->config().attention, nullptr) << name;
    EXPECT_EQ(model->config().max_position_embeddings, 64) << name;
    EXPECT_EQ(answer_by(*make_arm("full"), subject, item).nll, nll) << name;
  }
}

/// An item that throws, when the arm has changed the model already.
TEST(Arm, LeavesTheModelAloneWhereAnItemThrows) {
  auto model = byte_model();
  const ByteTokenizer tokenizer;
  const EvalSubject subject{*model, tokenizer, {}};
  const auto attention = model->shared_attention();
  const auto rope = model->config().rope_scaling;
  Item item = byte_item(120);
  item.question.answers.clear();
  for (const auto& name : arms_without_keys()) {
    EXPECT_THAT(error_of([&] { answer_by(*make_arm(name), subject, item); }, ExitCode::kData),
                ::testing::HasSubstr("has no answer"))
        << name;
    EXPECT_EQ(model->shared_attention(), attention) << name;
    EXPECT_EQ(model->config().attention, nullptr) << name;
    EXPECT_EQ(model->config().rope_scaling, rope) << name;
    EXPECT_EQ(model->config().max_position_embeddings, 64) << name;
  }
}

/// A model whose own attention is focused memory has it back, in its config too.
TEST(Arm, GivesTheModelItsOwnAttentionBack) {
  auto model = byte_model();
  const ByteTokenizer tokenizer;
  const EvalSubject subject{*model, tokenizer, {}};
  model->set_attention(make_attention_pattern("focused_memory"));
  const auto own = model->config().attention;
  ASSERT_NE(own, nullptr);
  const Json other = {
      {"mem_layers", Json::array({1})}, {"window", 64}, {"last_context_length", 32}};
  answer_by(*arm_with("focused_memory", other), subject, byte_item(120));
  EXPECT_EQ(model->shared_attention(), own);
  EXPECT_EQ(model->config().attention, own);
}

/// Questions to one passage are those to a passage of their own, in any order.
TEST(Arm, NoQuestionHearsOfAnother) {
  auto model = byte_model();
  const ByteTokenizer tokenizer;
  const EvalSubject subject{*model, tokenizer, {}};
  const Item first = byte_item(120, "b", "\nOne?"), second = byte_item(120, "yz", "\nAnother one?");
  for (const auto& name : arms_without_keys()) {
    auto arm = make_arm(name);
    auto reading = arm->read_passage(subject, first.passage, 4096);
    reading->ask(first.question);
    const Answer shared = reading->ask(second.question);
    const Answer again = reading->ask(first.question);
    const Answer alone = answer_by(*make_arm(name), subject, second);
    EXPECT_NEAR(shared.nll, alone.nll, loss_bound(*model, alone.nll)) << name;
    EXPECT_EQ(shared.text, alone.text) << name;
    const double nll = answer_by(*make_arm(name), subject, first).nll;
    EXPECT_NEAR(again.nll, nll, loss_bound(*model, nll)) << name;
  }
}

TEST(Arm, RanksTheAnswerAmongTheDistractorsByItsLoss) {
  auto model = byte_model();
  const ByteTokenizer tokenizer;
  const EvalSubject subject{*model, tokenizer, {}};
  Item item = byte_item(60, "answer");
  std::vector<double> losses;
  for (const char* text : {"answer", "x", "no", "other", "zebra"}) {
    Item one = item;
    one.question.answers = {text};
    losses.push_back(answer_by(*make_arm("full"), subject, one).nll);
  }
  int64_t better = 0;
  for (size_t i = 1; i < losses.size(); ++i) better += losses[i] < losses[0] ? 1 : 0;
  ASSERT_EQ(answer_by(*make_arm("full"), subject, item).rank, std::nullopt);
  item.question.distractors = {"x", "no", "other", "zebra"};
  const Answer answer = answer_by(*make_arm("full"), subject, item);
  EXPECT_EQ(answer.rank, 1 + better);
  EXPECT_NEAR(answer.nll, losses[0], loss_bound(*model, losses[0]));
}

TEST(Arm, SaysWhatItTook) {
  auto model = byte_model();
  const ByteTokenizer tokenizer;
  const EvalSubject subject{*model, tokenizer, {}};
  const Item item = byte_item(120);
  auto arm = make_arm("full");
  auto reading = arm->read_passage(subject, item.passage, 200);
  const Answer first = reading->ask(item.question), second = reading->ask(item.question);
  EXPECT_EQ(first.tokens_read,
            std::ssize(item.passage.instruction + item.passage.context + item.question.text));
  EXPECT_GT(first.time.passage_seconds, 0);
  EXPECT_LT(second.time.passage_seconds, first.time.passage_seconds);
  EXPECT_GT(first.time.first_token_seconds, 0);
  EXPECT_EQ(first.time.generated_tokens, item.question.max_new_tokens);
  EXPECT_GT(first.time.decode_seconds, 0);
}

}  // namespace
}  // namespace longspan
