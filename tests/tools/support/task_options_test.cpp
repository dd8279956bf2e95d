#include "tools/support/task_options.h"

#include <gmock/gmock.h>

#include "tests/support/errors.h"
#include "tools/support/eval_suite.h"
#include "trainer/eval/tasks/ruler.h"

namespace longspan {
namespace {

using testing::HasSubstr;

constexpr Option kEvaluating[] = {
    {"task", "TASK,...", "perplexity", ""},
    {"suite", "SUITE", "", ""},
    {"arm", "NAME,...", "full", ""},
    {"set", "NAME.KEY=VALUE...", "", ""},
    {"text", "FILE...", "", "", kItemOptions},
    {"depths", "LIST", "0,0.25,0.5,0.75,1", "", "passkey"},
    {"trials", "N", "3", "", "passkey"},
};
constexpr Command kCommand{.name = "evaluating", .options = {kEvaluating}};

EvalChoice choice_of(std::vector<std::string> words) {
  words.insert(words.begin(), "evaluating");
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  return read_eval_choice(*parse_arguments(kCommand, static_cast<int>(argv.size()), argv.data()),
                          kEvaluating);
}

EvalTasks tasks_of(const std::vector<std::string>& words) { return choice_of(words).tasks; }

Json keys_of(const std::vector<std::string>& words) { return tasks_of(words).front()->write(); }

std::string tasks_refused(const std::vector<std::string>& words) {
  return error_of([&] { tasks_of(words); }, ExitCode::kUsage);
}

TEST(TaskOptions, AreThoseOfTheTasksThatAreNamed) {
  EXPECT_EQ(tasks_of({}).front()->name(), "perplexity");
  EvalTasks both = tasks_of({"--task", "passkey,perplexity"});
  ASSERT_EQ(both.size(), 2u);
  EXPECT_EQ(both[0]->name(), "passkey");
  EXPECT_EQ(tasks_of({"--task", "passkey", "--task", "perplexity"}).size(), 2u);
  EXPECT_THAT(tasks_refused({"--task", "passkey,passkey"}), HasSubstr("there twice"));
  EXPECT_THAT(tasks_refused({"--task", "perplexty"}),
              HasSubstr("did you mean 'perplexity'?; expected one of perplexity, "));
}

TEST(TaskOptions, ArmsAreThoseThatAreNamed) {
  EXPECT_EQ(choice_of({}).arms.at(0).label, "full");
  const auto arms = choice_of({"--arm", "full,far=full", "--arm", "near=full"}).arms;
  ASSERT_EQ(arms.size(), 3u);
  EXPECT_EQ(arms[1].label, "far");
  EXPECT_EQ(arms[1].arm->name(), "full");
  EXPECT_THAT(tasks_refused({"--arm", "full,full"}), HasSubstr("there twice"));
  EXPECT_THAT(tasks_refused({"--arm", "ful"}), HasSubstr("did you mean 'full'?"));
  EXPECT_THAT(tasks_refused({"--arm", "passkey=full"}), HasSubstr("the name of a task"));
  EXPECT_THAT(tasks_refused({"--arm", "=full"}), HasSubstr("without a name"));
}

TEST(TaskOptions, AShortFormIsTheKeyOfItsName) {
  const Json by_set =
      keys_of({"--task=passkey", "--set", "passkey.trials=5", "--set", "passkey.depths=[0, 0.5]"});
  EXPECT_EQ(by_set["trials"], 5);
  EXPECT_EQ(by_set["depths"], Json({0.0, 0.5}));
  EXPECT_EQ(keys_of({"--task=passkey", "--trials", "5", "--depths", "0,0.5"}), by_set);
  const Json texts = keys_of({"--text", "1", "--text", "a, b.txt"})["text"];
  EXPECT_EQ(texts, Json::array({"1", "a, b.txt"}));
}

TEST(TaskOptions, TextsAreForAllTasksThatReadSome) {
  const EvalTasks tasks =
      tasks_of({"--task", "perplexity,position_loss,passkey", "--text", "a.txt"});
  EXPECT_EQ(tasks[0]->write()["text"], Json::array({"a.txt"}));
  EXPECT_EQ(tasks[1]->write()["text"], Json::array({"a.txt"}));
  EXPECT_FALSE(tasks[2]->write().contains("text"));
}

/// Every suite is one that can be read: its tasks and keys are known.
TEST(TaskOptions, ASuiteSaysWhatNothingElseDoes) {
  for (const auto& name : eval_suites()) {
    EXPECT_GE(tasks_of({"--suite", name, "--text", "a.txt"}).size(), 3u) << name;
    parse_lengths(find_eval_suite(name).lengths, name);
    // A text is read once where the task that scores all of it comes first.
    const std::string_view tasks = find_eval_suite(name).text_tasks;
    const size_t whole = tasks.find("position_loss");
    EXPECT_TRUE(whole == tasks.npos || whole < tasks.find("perplexity")) << name;
  }
  std::vector<std::string> names;
  for (const auto& task : tasks_of({"--suite", "quick"})) names.emplace_back(task->name());
  EXPECT_THAT(names, testing::ElementsAre("passkey", "needle"));
  const EvalTasks by_suite = tasks_of({"--suite", "quick", "--text", "a.txt"});
  EXPECT_EQ(by_suite[0]->write()["targets"], 256);
  EXPECT_EQ(by_suite[1]->write()["trials"], 1);
  const EvalTasks given = tasks_of({"--suite", "quick", "--task", "passkey,perplexity", "--text",
                                    "a.txt", "--trials", "5", "--set", "perplexity.targets=8"});
  EXPECT_EQ(given[0]->write()["trials"], 5);
  EXPECT_EQ(given[1]->write()["targets"], 8);
  EXPECT_EQ(given[1]->write()["documents"], 4);
  EXPECT_THAT(tasks_refused({"--suite", "quik"}), HasSubstr("did you mean 'quick'?"));
  std::vector<std::string> without_files = ruler_tasks();
  std::erase_if(without_files, [](const auto& task) { return task.starts_with("qa_"); });
  EXPECT_EQ(keys_of({"--suite", "full", "--task", "ruler"})["tasks"], Json(without_files));
}

TEST(TaskOptions, WithoutOneTheTaskKeepsItsDefault) {
  EXPECT_EQ(keys_of({"--task=passkey"}), make_eval_task("passkey")->write());
}

TEST(TaskOptions, WhatIsUnknownIsNamedWithTheNearest) {
  EXPECT_THAT(tasks_refused({"--task=passkey", "--set", "passkey.trails=5"}),
              HasSubstr("passkey.trails: unknown key; did you mean 'trials'?"));
  EXPECT_THAT(tasks_refused({"--set", "paskey.trials=5"}),
              HasSubstr("paskey: is no task or arm; did you mean 'passkey'?"));
  EXPECT_THAT(tasks_refused({"--set", "zzz.trials=5"}),
              HasSubstr("zzz: is no task or arm; expected one of perplexity, "));
  EXPECT_THAT(tasks_refused({"--set", "passkey.trials=5"}),
              HasSubstr("passkey: is not among the tasks of --task"));
  EXPECT_THAT(tasks_refused({"--arm", "far=full", "--set", "full.x=5"}),
              HasSubstr("full: is not among the arms of --arm"));
  EXPECT_THAT(tasks_refused({"--arm", "far=full", "--set", "far.x=5"}),
              HasSubstr("far.x: unknown key"));
}

TEST(TaskOptions, WhatIsWrongIsSaidAtOnce) {
  const std::string error = tasks_refused({"--task=passkey", "--trials", "3x", "--depths", "0,x"});
  EXPECT_THAT(error, HasSubstr("passkey.trials: expected a whole number, got \"3x\""));
  EXPECT_THAT(error, HasSubstr("passkey.depths.1: expected a number, got \"x\""));
  EXPECT_THAT(tasks_refused({"--task=passkey", "--trials", "2", "--set", "passkey.trials=5"}),
              HasSubstr("passkey.trials: is given by --trials too"));
  for (const char* wrong : {"passkey", "passkey.trials", "passkey=5", "=", "a=b.c"}) {
    EXPECT_THAT(tasks_refused({"--set", wrong}), HasSubstr("expected NAME.KEY=VALUE")) << wrong;
  }
}

}  // namespace
}  // namespace longspan
