#include "trainer/eval/eval_run.h"

#include <gmock/gmock.h>

#include "src/core/text.h"
#include "tests/support/errors.h"
#include "tests/trainer/eval/arms/arm_fixtures.h"
#include "trainer/eval/eval_budget.h"
#include "trainer/eval/passkey.h"
#include "trainer/eval/perplexity.h"

namespace longspan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<NamedArm> named(const std::vector<std::string>& names) {
  std::vector<NamedArm> arms;
  for (const auto& name : names) arms.push_back({name, make_arm(name)});
  return arms;
}

class Run : public ::testing::Test {
 protected:
  Run() {
    Json keys = {{"depths", {0, 1}}, {"trials", 2}};
    tasks_.push_back(std::make_unique<Passkey>(task_with<Passkey>(keys)));
    keys = {{"text", Json::array({folder_.write("a.txt", some_text(400))})}, {"targets", 8}};
    tasks_.push_back(std::make_unique<Perplexity>(task_with<Perplexity>(keys)));
  }
  std::vector<EvalWork> draw(const std::vector<NamedArm>& arms) {
    items_.clear();
    return draw_work(tasks_, subject_, arms, options_,
                     [&](const AskedItem& item) { items_.push_back(item); });
  }
  Json rows(const std::vector<std::string>& arms, AnswerJournal& journal) {
    EvalRun run(subject_, named(arms), options_, draw(named(arms)), journal);
    Json rows = run.run(*tasks_[0]).rows;
    for (auto& row : rows) row.erase("seconds");
    costs_ = run.costs();
    return rows;
  }

  std::unique_ptr<CausalLm> model_ = byte_model();
  ByteTokenizer tokenizer_;
  TemporaryFolder folder_;
  EvalSubject subject_{*model_, tokenizer_, {}};
  std::vector<std::unique_ptr<EvalTask>> tasks_;
  EvalOptions options_{{340, 400}};
  std::vector<AskedItem> items_;
  Json costs_;
};

TEST_F(Run, DrawsTheItemsThatAreAsked) {
  const auto work = draw(named({"full", "oracle"}));
  ASSERT_EQ(items_.size(), 2 * 2 * 2 + 2);  // lengths, depths and trials; a document at two lengths
  const AskedItem& item = items_[0];
  EXPECT_EQ(item.task, "passkey");
  EXPECT_EQ(item.length, 340);
  EXPECT_THAT(item.item["question"].get<std::string>(), HasSubstr("The pass key is"));
  EXPECT_THAT(item.item["context"].get<std::string>(),
              HasSubstr("The pass key is " + item.item["answers"][0].get<std::string>()));
  const std::string text = some_text(400);
  EXPECT_EQ(items_[8].item["context"], text.substr(60, 332));
  EXPECT_EQ(items_[8].item["answers"], Json::array({text.substr(392)}));
  std::vector<std::string> kinds;
  for (const auto& entry : work) {
    kinds.push_back(fmt::format("{} {} {} {}", entry.task, entry.arm, entry.length, entry.items));
    EXPECT_GT(entry.flops, 0);
  }
  // oracle needs a question.
  EXPECT_THAT(
      kinds, ElementsAre("passkey full 340 4", "passkey oracle 340 4", "passkey full 400 4",
                         "passkey oracle 400 4", "perplexity full 340 1", "perplexity full 400 1"));
}

TEST_F(Run, AnArmThatLeavesOutPartsOfATextDoesNotScoreAllOfIt) {
  const auto arms = named({"full", "retrieval"});
  EXPECT_TRUE(arms[0].does(*make_eval_task("position_loss")));
  EXPECT_FALSE(arms[1].does(*make_eval_task("position_loss")));
  EXPECT_TRUE(arms[1].does(*make_eval_task("perplexity")));
}

TEST_F(Run, GivesEveryArmTheSameItems) {
  AnswerJournal none;
  const Json both = rows({"full", "truncate"}, none);
  ASSERT_EQ(both.size(), 8u);
  EXPECT_EQ(both[0]["arm"], "full");
  EXPECT_EQ(both[4]["arm"], "truncate");
  EXPECT_EQ(both[4]["prompt_tokens"], both[0]["prompt_tokens"]);
  EXPECT_LT(both[4]["tokens_read"], both[0]["tokens_read"]);
  AnswerJournal other;
  EXPECT_EQ(rows({"truncate"}, other)[0], both[4]);
}

TEST_F(Run, CountsTheCostOfEachArmAndLength) {
  AnswerJournal none;
  rows({"full", "truncate"}, none);
  ASSERT_EQ(costs_.size(), 4u);
  const Json cost = costs_[3];
  EXPECT_EQ(cost["arm"], "truncate");
  EXPECT_EQ(cost["length"], 400);
  for (const char* key : {"time_to_first_token_seconds", "tokens_per_second",
                          "read_tokens_per_second", "flops", "peak_memory_bytes", "kv_bytes"}) {
    EXPECT_GT(cost[key], 0) << key;
  }
  // By formula, of the tokens that were read.
  const auto read = static_cast<int64_t>(rows({"truncate"}, none)[2]["tokens_read"].get<double>());
  EXPECT_EQ(cost["flops"], make_arm("full")->flops(*model_, read, read));
  EXPECT_EQ(cost["kv_bytes"], make_arm("full")->kv_bytes(*model_, read));
}

/// What the journal has is not asked again, and the result is that of a run without a break.
TEST_F(Run, GoesOnBehindTheLastAnswer) {
  const Json identity = {{"weights", "tiny"}};
  const std::string path = folder_.path("out.json.journal");
  AnswerJournal whole(path, identity);
  const Json expected = rows({"full", "retrieval"}, whole);
  EXPECT_EQ(whole.size(), 16u);
  const std::string text = read_file(path, ExitCode::kData);
  size_t end = 0;
  for (int line = 0; line < 6; ++line) end = text.find('\n', end) + 1;
  folder_.write("out.json.journal", text.substr(0, end + 20));  // killed as it wrote the sixth

  AnswerJournal broken(path, identity);
  EXPECT_EQ(broken.size(), 5u);
  EXPECT_EQ(rows({"full", "retrieval"}, broken), expected);
  EXPECT_EQ(costs_.size(), 4u);
  // Nothing is left to ask: another model would answer otherwise.
  model_->visit_parameters("", [](const std::string&, at::Tensor& weight) { weight.zero_(); });
  AnswerJournal complete(path, identity);
  EXPECT_EQ(rows({"full", "retrieval"}, complete), expected);
}

TEST_F(Run, AnArmOfOtherKeysIsAskedAnew) {
  AnswerJournal journal;
  const Json first = rows({"truncate"}, journal);
  EvalRun run(subject_, {{"truncate", arm_with("truncate", {{"budget_tokens", 330}})}}, options_,
              {}, journal);
  EXPECT_NE(run.run(*tasks_[0]).rows[0]["answer_nll"], first[0]["answer_nll"]);
  EXPECT_EQ(journal.size(), 16u);
}

TEST(EvalProgress, TakesWhatIsLeftByKindAndByFlops) {
  EvalProgress progress({{"a", "full", 100, 4, 400}, {"a", "full", 200, 2, 800}});
  progress.done("a", "full", 100, 0);  // from the journal
  progress.done("a", "full", 100, 2);
  EXPECT_EQ(progress.items(), 6);
  EXPECT_EQ(progress.items_done(), 2);
  // Two more of 2 seconds; the rest at 100 FLOPs in 2 seconds.
  EXPECT_DOUBLE_EQ(progress.seconds_left(), 2 * 2 + 800 / 50.0);
  progress.done("a", "full", 200, 10);
  EXPECT_DOUBLE_EQ(progress.seconds_left(), 2 * 2 + 10);
  EXPECT_THAT(progress.line(), HasSubstr("3 of 6 questions, a by full at 200"));
}

TEST(ParseDuration, IsInSeconds) {
  EXPECT_EQ(parse_duration("90s", ""), 90);
  EXPECT_EQ(parse_duration("10m", ""), 600);
  EXPECT_EQ(parse_duration("1.5h", ""), 5400);
  for (const char* wrong : {"", "10", "m", "-1m", "0s", "ten m", "10 d", "infh"}) {
    EXPECT_THROW(parse_duration(wrong, "--budget"), Error) << wrong;
  }
}

TEST(Budget, DropsItemsBeforeLengths) {
  const std::vector<EvalWork> work{{"a", "full", 100, 8, 800}, {"a", "full", 200, 8, 3200}};
  const auto fit = [&](double seconds) { return fit_budget(work, {100, 200}, 100, seconds); };
  EXPECT_EQ(fit(40).share, 1);
  EXPECT_DOUBLE_EQ(fit(40).seconds, 40);
  EXPECT_TRUE(fit(40).dropped.empty());
  EXPECT_EQ(fit(39).share, 0.5);
  EXPECT_THAT(fit(39).dropped, ElementsAre("50 % of the items"));
  EXPECT_EQ(fit(10).share, 0.25);
  EXPECT_THAT(fit(9).lengths, ElementsAre(100));
  EXPECT_THAT(fit(9).dropped, ElementsAre("length 200"));
  EXPECT_DOUBLE_EQ(fit(9).seconds, 8);
  EXPECT_THAT(fit(1).dropped, ElementsAre("length 200", "75 % of the items"));
  EXPECT_DOUBLE_EQ(fit(1).seconds, 2);
}

}  // namespace
}  // namespace longspan
