#include "trainer/eval/passkey.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "src/model/generate.h"
#include "tests/support/errors.h"
#include "tests/support/float32_bound.h"
#include "tests/trainer/eval/eval_fixtures.h"
#include "trainer/eval/arms/arm.h"
#include "trainer/eval/passkey_prompt.h"

namespace longspan {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

size_t count(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = 0; (at = text.find(part, at)) != text.npos; at += part.size()) ++found;
  return found;
}

std::string text_of(const Item& item) {
  return item.passage.instruction + item.passage.context + item.question.text;
}

std::string passkey_text(int64_t filler_characters, double depth, const std::string& key) {
  return text_of(passkey_item(filler_characters, depth, key));
}

TEST(PasskeyText, IsLongLorasText) {
  EXPECT_EQ(passkey_text(20, 0.5, "12345"),
            "There is an important info hidden inside a lot of irrelevant text. Find it and "
            "memorize them. I will quiz you about the important information there.\n"
            "The grass \n"
            "The pass key is 12345. Remember it. 12345 is the pass key.\n"
            "The grass \n"
            "What is the pass key? The pass key is");
}

TEST(PasskeyText, DepthMovesTheKeyAndNothingElse) {
  size_t start = passkey_text(1000, 0, "12345").find("12345");
  EXPECT_EQ(passkey_text(1000, 0.25, "12345").find("12345"), start + 250);
  EXPECT_EQ(passkey_text(1000, 1, "12345").find("12345"), start + 1000);
  EXPECT_EQ(passkey_text(1000, 1, "12345").size(), passkey_text(1000, 0, "12345").size());
}

TEST(PasskeyText, SaysWhereTheKeyStands) {
  for (double depth : {0.0, 0.3, 1.0}) {
    const Item item = passkey_item(200, depth, "12345");
    ASSERT_EQ(item.question.evidence.size(), 1u);
    const auto [begin, end] = item.question.evidence[0];
    EXPECT_EQ(item.passage.context.substr(begin, end - begin),
              "The pass key is 12345. Remember it. 12345 is the pass key.");
  }
}

TEST(DrawPasskey, HasFiveDigitsAndDependsOnEverything) {
  std::set<std::string> keys;
  for (int64_t trial = 0; trial < 20; ++trial) {
    std::string key = draw_passkey(0, 4096, 0.5, trial);
    EXPECT_EQ(key.size(), 5);
    EXPECT_EQ(draw_passkey(0, 4096, 0.5, trial), key);
    keys.insert(key);
  }
  EXPECT_GT(keys.size(), 18);
  EXPECT_NE(draw_passkey(0, 4096, 0.5, 0), draw_passkey(1, 4096, 0.5, 0));
  EXPECT_NE(draw_passkey(0, 4096, 0.5, 0), draw_passkey(0, 8192, 0.5, 0));
  EXPECT_NE(draw_passkey(0, 4096, 0.5, 0), draw_passkey(0, 4096, 0.75, 0));
}

TEST(WrongPasskeys, AreNineOthers) {
  const auto wrong = wrong_passkeys("12345");
  std::set<std::string> keys(wrong.begin(), wrong.end());
  for (const auto& key : keys) EXPECT_EQ(key.size(), 5);
  EXPECT_TRUE(keys.insert("12345").second);
  EXPECT_EQ(keys.size(), 10);
  EXPECT_EQ(wrong_passkeys("12345"), wrong);
  EXPECT_NE(wrong_passkeys("12346"), wrong);
}

TEST(PasskeyPrompt, FillsTheLengthToTheLastToken) {
  ByteTokenizer tokenizer;
  for (int64_t length : {400, 1000, 4096}) {
    auto prompt = build_passkey_prompt(tokenizer, {}, length, 0.3, "54321");
    EXPECT_EQ(prompt.tokens.size(), length);
    EXPECT_EQ(std::string(prompt.tokens.answer.begin(), prompt.tokens.answer.end()), " 54321");
    std::string text = text_of(prompt.item);
    EXPECT_THAT(text, StartsWith("There is an important info"));
    EXPECT_THAT(text, EndsWith("The pass key is"));
    EXPECT_EQ(count(text, "54321"), 2);
  }
}

TEST(PasskeyPrompt, CountsTheBosToken) {
  auto prompt = build_passkey_prompt(ByteTokenizer(), 1, 500, 0.5, "54321");
  EXPECT_EQ(prompt.tokens.prompt.front(), 1);
  EXPECT_EQ(prompt.tokens.size(), 500);
}

TEST(PasskeyPrompt, RefusesALengthWithoutRoom) {
  EXPECT_THROW(build_passkey_prompt(ByteTokenizer(), {}, 100, 0.5, "54321"), Error);
}

/// At depth 0.5, with the seed 0.
Passkey one_question() {
  return task_with<Passkey>({{"depths", Json::array({0.5})}, {"trials", 1}});
}

TEST(Passkey, GivesARowForEachLengthAndDepth) {
  auto model = byte_model();
  ByteTokenizer tokenizer;
  const auto passkey = task_with<Passkey>({{"depths", {0, 0.5, 1}}, {"trials", 2}});
  TaskResult result = passkey.run({*model, tokenizer, {}}, {{340, 400}});
  ASSERT_EQ(result.rows.size(), 6);
  const Json& row = result.rows[4];
  EXPECT_EQ(row["length"], 400);
  EXPECT_EQ(row["depth"], 0.5);
  EXPECT_EQ(row["trials"], 2);
  EXPECT_EQ(row["n"], 2);
  EXPECT_EQ(row["score"], row["accuracy"]);
  EXPECT_EQ(row["low"], row["accuracy_low"]);
  EXPECT_EQ(row["high"], row["accuracy_high"]);
  EXPECT_EQ(row["prompt_tokens"], 394);
  EXPECT_EQ(row["scores"].size(), 2);
  EXPECT_EQ(row["ranked"], 2);
  EXPECT_LE(row["ranked_first"], 2);
  EXPECT_LE(row["accuracy_low"], row["accuracy"]);
  EXPECT_GE(row["accuracy_high"], row["accuracy"]);
  EXPECT_EQ(result.protocol["trials"], 2);
  EXPECT_THAT(result.protocol["rule"].get<std::string>(), HasSubstr("LongLoRA"));
}

/// By definition: log softmax of the whole sequence, and its first choice, token by token.
TEST(Passkey, ScoresTheAnswerBehindThePrompt) {
  auto model = byte_model();
  ByteTokenizer tokenizer;
  const Passkey passkey = one_question();
  auto prompt = build_passkey_prompt(tokenizer, {}, 340, 0.5, draw_passkey(0, 340, 0.5, 0));
  std::vector<int64_t> ids = prompt.tokens.prompt;
  ids.insert(ids.end(), prompt.tokens.answer.begin(), prompt.tokens.answer.end());
  at::NoGradGuard no_gradients;
  at::Tensor hidden = model->hidden_states({at::tensor(ids, at::kLong).unsqueeze(0), {}, {}});
  at::Tensor log_p = at::log_softmax(at::linear(hidden.squeeze(0), model->lm_head_weight()), -1);
  double nll = 0, first_choices = 0;
  for (size_t t = prompt.tokens.prompt.size(); t < ids.size(); ++t) {
    at::Tensor before = log_p[static_cast<int64_t>(t) - 1];
    nll -= before[ids[t]].item<double>();
    first_choices += before.argmax().item<int64_t>() == ids[t] ? 1 : 0;
  }
  const auto answer = static_cast<double>(prompt.tokens.answer.size());
  const Json row = passkey.run({*model, tokenizer, {}}, {{340}}).rows[0];
  EXPECT_NEAR(row["answer_nll"].get<double>(), nll / answer,
              float32_bound(nll / answer, terms_of_loss(model->config(), 360)));
  EXPECT_DOUBLE_EQ(row["answer_token_accuracy"].get<double>(), first_choices / answer);
}

/// The rank of the key is that among the losses of it and of nine others, each fed alone.
TEST(Passkey, RanksTheKeyAmongWrongOnes) {
  auto model = byte_model();
  ByteTokenizer tokenizer;
  const EvalSubject subject{*model, tokenizer, {}};
  const auto passkey = task_with<Passkey>({{"depths", {0, 0.5, 1}}, {"trials", 4}});
  const auto nll_of = [&](Item item, const std::string& key) {
    item.question.answers = {key};
    item.question.max_new_tokens = 1;
    return full_arm()->read_passage(subject, item.passage, 340)->ask(item.question).nll;
  };
  int64_t first = 0;
  for (const double depth : {0.0, 0.5, 1.0}) {
    for (int64_t trial = 0; trial < 4; ++trial) {
      const std::string key = draw_passkey(0, 340, depth, trial);
      const Item item = build_passkey_prompt(tokenizer, {}, 340, depth, key).item;
      const double right = nll_of(item, key);
      const auto wrong = wrong_passkeys(key);
      first +=
          std::ranges::none_of(wrong, [&](auto& k) { return nll_of(item, k) < right; }) ? 1 : 0;
    }
  }
  int64_t ranked_first = 0;
  for (const auto& row : passkey.run(subject, {{340}}).rows) {
    ranked_first += row["ranked_first"].get<int64_t>();
  }
  EXPECT_EQ(ranked_first, first);
}

Json passkey_rows(const std::vector<double>& scores) {
  PasskeyRow row{.cell = {.length = 340, .depth = 0.5}};
  for (const double score : {1, 1, 0}) row.cell.add({}, score);
  row.cell.scores = scores;
  return Json::array({row.write()});
}

std::string titles_of(const std::vector<Table>& tables) {
  std::string titles;
  for (const auto& table : tables) titles += table.title + "\n";
  return titles;
}

TEST(PasskeyReport, PairsTrialsWhereTheirScoresAreKnown) {
  const std::vector<LabelledRows> known{{"base", passkey_rows({1, 1, 0})},
                                        {"trained", passkey_rows({1, 1, 0})}};
  EXPECT_THAT(titles_of(Passkey().tables(known, 0)), HasSubstr("Score minus that of 'base'"));
  Json older = passkey_rows({1, 1, 0});
  older[0].erase("scores");
  older[0].erase("ranked");
  older[0].erase("ranked_first");
  EXPECT_THAT(
      titles_of(Passkey().tables({{"base", older}, {"trained", passkey_rows({1, 1, 0})}}, 0)),
      ::testing::Not(HasSubstr("Score minus")));
  Diagnostics diagnostics;
  Passkey().check_rows(passkey_rows({1, 1}), diagnostics);
  EXPECT_THAT(diagnostics.errors().at(0), HasSubstr("scores: has not a score for each"));
}

/// Reads out of any tokens what it was told to.
class TellingTokenizer : public ByteTokenizer {
 public:
  explicit TellingTokenizer(std::string told) : told_(std::move(told)) {}
  std::string decode(const std::vector<int32_t>& ids, bool) const override {
    read_ = ids;
    return told_;
  }
  const std::vector<int32_t>& read() const { return read_; }

 private:
  std::string told_;
  mutable std::vector<int32_t> read_;
};

TEST(Passkey, IsCorrectWhereTheGeneratedTextNamesTheKey) {
  auto model = byte_model();
  const Passkey passkey = one_question();
  const std::string key = draw_passkey(0, 340, 0.5, 0);
  TellingTokenizer right(" " + key + ".\n"), wrong(" 00000");
  EXPECT_EQ(passkey.run({*model, right, {}}, {{340}}).rows[0]["correct"], 1);
  EXPECT_EQ(passkey.run({*model, wrong, {}}, {{340}}).rows[0]["correct"], 0);
  auto prompt = build_passkey_prompt(right, {}, 340, 0.5, key);
  auto greedy =
      generate(*model, prompt.tokens.prompt, {.max_new_tokens = std::ssize(right.read())});
  EXPECT_EQ(std::vector<int64_t>(right.read().begin(), right.read().end()), greedy);
}

TEST(Passkey, ALossThatIsNotFiniteIsAnErrorThatNamesThePlace) {
  auto model = byte_model();
  model->visit_parameters("", [](const std::string& name, at::Tensor& parameter) {
    if (name == "model.norm.weight") parameter.fill_(NAN);
  });
  EXPECT_THAT(error_of(
                  [&] {
                    one_question().run({*model, ByteTokenizer(), {}}, {{340}});
                  },
                  ExitCode::kNonFinite),
              HasSubstr("length 340 and depth 0.5"));
}

TEST(Passkey, IsTheSameEachTime) {
  auto model = byte_model();
  ByteTokenizer tokenizer;
  const Passkey passkey = one_question();
  auto nll = [&] {
    return passkey.run({*model, tokenizer, {}}, {{340}}).rows[0]["answer_nll"].get<double>();
  };
  EXPECT_EQ(nll(), nll());
}

TEST(Passkey, AsksAShareOfTheTrialsAndThenOfTheDepths) {
  auto model = byte_model();
  ByteTokenizer tokenizer;
  const EvalSubject subject{*model, tokenizer, {}};
  const auto passkey = task_with<Passkey>({{"depths", {0, 0.25, 0.5, 1}}, {"trials", 2}});
  const auto drawn = passkey.draw(subject, {{340, 400}});
  const auto cells = [&](int64_t longest, double share) {
    drawn->keep(longest, share);
    std::vector<std::string> found;
    for (const auto& row : drawn->run(subject).rows) {
      found.push_back(fmt::format("{} {} {}", row["length"].get<int64_t>(),
                                  row["depth"].get<double>(), row["n"].get<int64_t>()));
    }
    return found;
  };
  EXPECT_THAT(cells(400, 1), ::testing::SizeIs(8));
  EXPECT_THAT(cells(340, 0.5),
              ::testing::ElementsAre("340 0 1", "340 0.25 1", "340 0.5 1", "340 1 1"));
  EXPECT_THAT(cells(340, 0.25), ::testing::ElementsAre("340 0 1", "340 0.5 1"));
}

TEST(Passkey, WritesTheKeysThatItReads) {
  const Json keys = {{"depths", {0.25, 1.0}}, {"trials", 7}, {"seed", 3}};
  EXPECT_EQ(task_with<Passkey>(keys).write(), keys);
  EXPECT_EQ(Passkey().write(),
            Json({{"depths", {0.0, 0.25, 0.5, 0.75, 1.0}}, {"trials", 3}, {"seed", 0}}));
}

TEST(Passkey, RefusesWhatItCannotAsk) {
  auto refused = [](const Json& keys) {
    return error_of([&] { task_with<Passkey>(keys); }, ExitCode::kUsage);
  };
  EXPECT_EQ(refused({}), "no error");
  EXPECT_THAT(refused({{"depths", Json::array({1.5})}}), HasSubstr("1.5 is not from 0"));
  EXPECT_THAT(refused({{"depths", Json::array()}}), HasSubstr("depths: is empty"));
  EXPECT_THAT(refused({{"depths", {0.5, 0, 0.5}}}), HasSubstr("0.5 is there twice"));
  EXPECT_THAT(refused({{"trials", 0}}), HasSubstr("trials: 0 is out of range"));
  EXPECT_THAT(refused({{"trails", 1}}), HasSubstr("trails: unknown key; did you mean 'trials'?"));
}

}  // namespace
}  // namespace longspan
