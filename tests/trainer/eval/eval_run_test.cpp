#include "trainer/eval/eval_run.h"

#include <gmock/gmock.h>

#include <optional>

#include "src/core/text.h"
#include "tests/support/errors.h"
#include "tests/trainer/eval/arms/arm_fixtures.h"
#include "trainer/eval/arms/full.h"
#include "trainer/eval/eval_budget.h"
#include "trainer/eval/passkey.h"
#include "trainer/eval/perplexity.h"
#include "trainer/eval/tasks/jsonl.h"
#include "trainer/eval/tasks/needle.h"
#include "trainer/eval/tasks/position_loss.h"

namespace longspan {
namespace {

using ::testing::AllOf;
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
  std::vector<EvalWork> work(const std::vector<NamedArm>& arms) {
    if (drawn_.empty()) drawn_ = draw_tasks(tasks_, subject_, options_);
    items_.clear();
    return work_of(drawn_, subject_, arms, [&](const AskedItem& item) { items_.push_back(item); });
  }
  Json rows(const std::vector<std::string>& arms, AnswerJournal& journal) {
    EvalRun run(subject_, named(arms), options_.lengths, work(named(arms)), journal);
    Json rows = run.run(*drawn_[0]).rows;
    for (auto& row : rows) row.erase("seconds");
    costs_ = run.costs();
    return rows;
  }

  std::unique_ptr<CausalLm> model_ = byte_model();
  ByteTokenizer tokenizer_;
  TemporaryFolder folder_;
  EvalSubject subject_{*model_, tokenizer_, {}};
  EvalTasks tasks_;
  DrawnTasks drawn_;
  EvalOptions options_{{340, 400}};
  std::vector<AskedItem> items_;
  Json costs_;
};

TEST_F(Run, DrawsTheItemsThatAreAsked) {
  const auto all = work(named({"full", "oracle"}));
  ASSERT_EQ(items_.size(), 2 * 2 * 2 + 2);  // lengths, depths and trials; a document at two lengths
  const AskedItem& item = items_[0];
  EXPECT_EQ(item.task, "passkey");
  EXPECT_EQ(item.length, 340);
  EXPECT_THAT(item.line["question"].get<std::string>(), HasSubstr("The pass key is"));
  EXPECT_THAT(item.line["context"].get<std::string>(),
              HasSubstr("The pass key is " + item.line["answers"][0].get<std::string>()));
  EXPECT_EQ(item.line["distractors"].size(), 9);
  const std::string text = some_text(400);
  EXPECT_EQ(items_[8].line["context"], text.substr(60, 332));
  EXPECT_EQ(items_[8].line["answers"], Json::array({text.substr(392)}));
  EXPECT_EQ(items_[8].line["metric"], "nll");
  EXPECT_EQ(items_[8].line["scored_tokens"], 8);
  std::vector<std::string> kinds;
  for (const auto& entry : all) {
    kinds.push_back(fmt::format("{} {} {} {}", entry.task, entry.arm, entry.length, entry.items()));
    EXPECT_GT(entry.flops(), 0);
  }
  // oracle needs a question.
  EXPECT_THAT(
      kinds, ElementsAre("passkey full 340 4", "passkey oracle 340 4", "passkey full 400 4",
                         "passkey oracle 400 4", "perplexity full 340 1", "perplexity full 400 1"));
}

TEST_F(Run, OracleIsAskedWhereTheAnswerIsKnownToStand) {
  const auto arms = named({"full", "oracle"});
  for (const char* task : {"passkey", "needle", "ruler"}) {
    EXPECT_TRUE(arms[1].does(*make_eval_task(task))) << task;
  }
  EXPECT_TRUE(arms[0].does(*make_eval_task("cloze")));
  EXPECT_FALSE(arms[1].does(*make_eval_task("cloze")));
}

TEST_F(Run, AnArmThatLeavesOutPartsOfATextDoesNotScoreAllOfIt) {
  const auto arms = named({"full", "retrieval"});
  for (const char* task : {"position_loss", "window_perplexity", "longppl"}) {
    EXPECT_TRUE(arms[0].does(*make_eval_task(task))) << task;
    EXPECT_FALSE(arms[1].does(*make_eval_task(task))) << task;
  }
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
  std::optional<AnswerJournal> journal(std::in_place, path, identity);
  const Json expected = rows({"full", "retrieval"}, *journal);
  EXPECT_EQ(journal->size(), 16u);
  const std::string text = read_file(path, ExitCode::kData);
  size_t end = 0;
  for (int line = 0; line < 6; ++line) end = text.find('\n', end) + 1;
  folder_.write("out.json.journal", text.substr(0, end + 20));  // killed as it wrote the sixth

  journal.emplace(path, identity);
  EXPECT_EQ(journal->size(), 5u);
  EXPECT_EQ(rows({"full", "retrieval"}, *journal), expected);
  EXPECT_EQ(costs_.size(), 4u);
  // Nothing is left to ask: another model would answer otherwise.
  model_->visit_parameters("", [](const std::string&, at::Tensor& weight) { weight.zero_(); });
  journal.emplace(path, identity);
  EXPECT_EQ(rows({"full", "retrieval"}, *journal), expected);
}

/// Those that the journal has, too.
TEST_F(Run, HandsOverEachAnswer) {
  AnswerJournal journal;
  std::vector<Json> answers;
  const auto note = [&](const Json& answer) { answers.push_back(answer); };
  const auto arms = named({"full", "truncate"});
  for (int again = 0; again < 2; ++again) {
    answers.clear();
    EvalRun run(subject_, arms, options_.lengths, work(arms), journal, note);
    const Json rows = run.run(*drawn_[0]).rows;
    run.run(*drawn_[1]);
    ASSERT_EQ(answers.size(), 2 * (2 * 2 * 2 + 2));
    const Json& first = answers[0];
    EXPECT_EQ(first["task"], "passkey");
    EXPECT_EQ(first["arm"], "full");
    EXPECT_EQ(first["length"], 340);
    EXPECT_EQ(first["question"], items_[0].line["question"]);
    EXPECT_EQ(first["answers"], items_[0].line["answers"]);
    EXPECT_TRUE(first["text"].is_string());
    EXPECT_EQ(first["metric"], "number_prefix");
    EXPECT_EQ(first["score"], rows[0]["scores"][0]);
    EXPECT_NEAR((first["nll"].get<double>() + answers[1]["nll"].get<double>()) / 2,
                rows[0]["answer_nll"].get<double>(), 1e-9);
    EXPECT_EQ(answers.back()["task"], "perplexity");
    EXPECT_EQ(answers.back()["arm"], "truncate");
    EXPECT_EQ(answers.back()["nll"].size(), 8);
  }
}

TEST_F(Run, AnArmOfOtherKeysIsAskedAnew) {
  AnswerJournal journal;
  const Json first = rows({"truncate"}, journal);
  EvalRun run(subject_, {{"truncate", arm_with("truncate", {{"budget_tokens", 330}})}},
              options_.lengths, {}, journal);
  EXPECT_NE(run.run(*drawn_[0]).rows[0]["answer_nll"], first[0]["answer_nll"]);
  EXPECT_EQ(journal.size(), 16u);
}

/// Counts the texts that it reads.
class CountedReader : public FullArm {
 public:
  std::vector<double> target_nll(const EvalSubject& subject, const std::vector<int64_t>& ids,
                                 int64_t targets) override {
    ++texts;
    return FullArm::target_nll(subject, ids, targets);
  }

  int64_t texts = 0;
};

/// What position_loss scores, perplexity scores the end of: at the longest length they read the
/// same text.
TEST_F(Run, ReadsATextOnceForTasksThatScoreTheSameTokens) {
  const Json text = Json::array({folder_.write("b.txt", some_text(400, 2))});
  tasks_.clear();
  tasks_.push_back(std::make_unique<PositionLoss>(task_with<PositionLoss>({{"text", text}})));
  tasks_.push_back(
      std::make_unique<Perplexity>(task_with<Perplexity>({{"text", text}, {"targets", 8}})));
  const auto reader = std::make_shared<CountedReader>();
  const std::vector<NamedArm> arms{{"full", reader}};
  const std::vector<EvalWork> all = work(arms);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_GT(all[0].flops(), 0);
  EXPECT_GT(all[1].flops(), 0);
  EXPECT_EQ(all[2].task, "perplexity");
  EXPECT_EQ(all[2].length, 400);
  EXPECT_EQ(all[2].items(), 1);
  EXPECT_EQ(all[2].flops(), 0);

  const auto losses_of = [&](AnswerJournal& journal, std::vector<size_t> order) {
    EvalRun run(subject_, arms, options_.lengths, all, journal);
    Json losses;
    for (const size_t task : order) {
      for (const auto& row : run.run(*drawn_[task]).rows) losses.push_back(row["document_nll"]);
    }
    EXPECT_EQ(run.progress().items_done(), 3);
    return losses;
  };
  const std::string path = folder_.path("out.json.journal");
  std::optional<AnswerJournal> journal(std::in_place, path, Json::object());
  const Json losses = losses_of(*journal, {0, 1});
  EXPECT_EQ(reader->texts, 2);
  journal.emplace(path, Json::object());
  EXPECT_EQ(losses_of(*journal, {0, 1}), losses);
  EXPECT_EQ(reader->texts, 2);
  AnswerJournal other;
  losses_of(other, {1, 0});
  EXPECT_EQ(reader->texts, 2 + 3);  // of the text that was scored first too little was known
  const auto alone = drawn_[1]->run(subject_).rows[1]["nll"].get<double>();
  EXPECT_NEAR(losses.back()[0].get<double>(), alone, loss_bound(*model_, alone));
}

/// A journal that somebody wrote into.
TEST_F(Run, SaysWhereAJournalIsDamaged) {
  const Json identity = {{"weights", "tiny"}};
  const std::string path = folder_.path("out.json.journal");
  for (const size_t task : {0u, 1u}) {
    AnswerJournal whole(path, identity);
    const auto arms = named({"full"});
    EvalRun(subject_, arms, options_.lengths, work(arms), whole).run(*drawn_[task]);
    std::vector<std::string> lines = split(read_file(path, ExitCode::kData), '\n');
    whole.remove();
    const Json second = Json::parse(lines[2]);
    const auto error_with = [&](Json found) {
      Json line = second;
      line["found"] = std::move(found);
      lines[2] = line.dump();
      folder_.write("out.json.journal", join(lines, "\n"));
      AnswerJournal damaged(path, identity);
      return error_of(
          [&] {
            EvalRun(subject_, arms, options_.lengths, work(arms), damaged).run(*drawn_[task]);
          },
          ExitCode::kCheckpoint);
    };
    for (const char* key : {"nll", "seconds", "peak_bytes"}) {
      Json found = second["found"];
      found[key] = "x";
      EXPECT_THAT(error_with(found), AllOf(HasSubstr("out.json.journal: line 3"), HasSubstr(key)));
    }
    for (const Json& found : {Json(3), Json::array(), Json::object()}) {
      EXPECT_THAT(error_with(found), HasSubstr("out.json.journal: line 3")) << found;
    }
    EXPECT_EQ(error_with(second["found"]), "no error");
    std::filesystem::remove(path);
  }
}

/// Counts how often its items are drawn.
class CountedNeedles : public NeedleTask {
 public:
  explicit CountedNeedles(int64_t& draws) : draws_(draws) {}
  void draw_items(const EvalSubject& subject, const std::vector<int64_t>& lengths,
                  const Use& use) const override {
    ++draws_;
    NeedleTask::draw_items(subject, lengths, use);
  }

 private:
  int64_t& draws_;
};

/// Long texts take long to make: each is made once for all arms, what it takes to know how much
/// there is to do and what a budget leaves out.
TEST_F(Run, DrawsItsItemsOnceForAllArms) {
  int64_t draws = 0;
  tasks_.clear();
  tasks_.push_back(std::make_unique<CountedNeedles>(draws));
  options_.lengths = {1400, 1600};
  DrawnTasks drawn = draw_tasks(tasks_, subject_, options_);
  AnswerJournal journal;
  const auto arms = named({"full", "no_context"});
  const BudgetedRun budgeted =
      keep_budget(drawn, subject_, arms, options_.lengths, journal, /*budget_seconds=*/1e-6);
  EvalRun run(subject_, arms, budgeted.lengths, work_of(drawn, subject_, arms), journal);
  const Json rows = run.run(*drawn[0]).rows;
  EXPECT_EQ(draws, 1);
  ASSERT_EQ(rows.size(), 2 * 3);  // three of ten questions about the one haystack
  EXPECT_EQ(rows[5]["arm"], "no_context");
  EXPECT_EQ(rows[5]["length"], 1400);
  EXPECT_THAT(budgeted.dropped, ElementsAre("length 1600", "7 of 10 items of needle"));
  EXPECT_EQ(journal.size(), 6u);  // the first items, which were measured, are among them
}

TEST(NamedArm, NeedsWholeAnswersWhereTheyAreJudged) {
  const JsonlTask judges;
  const Passkey looks_for_the_key;
  const NamedArm sparse{"s2", make_arm("shifted_sparse")}, full{"full", make_arm("full")};
  EXPECT_THAT(sparse.obstacle(judges), HasSubstr("judges whole answers"));
  EXPECT_TRUE(sparse.does(looks_for_the_key));
  EXPECT_TRUE(full.does(judges));
}

}  // namespace
}  // namespace longspan
