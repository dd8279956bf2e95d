#include "tools/support/task_options.h"

#include <gmock/gmock.h>

#include "tests/support/errors.h"

namespace longspan {
namespace {

using testing::HasSubstr;

constexpr Option kEvaluating[] = {
    {"task", "TASK,...", "perplexity", ""},
    {"arm", "NAME,...", "full", ""},
    {"set", "NAME.KEY=VALUE...", "", ""},
    {"text", "FILE...", "", "", "perplexity"},
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
              HasSubstr("did you mean 'perplexity'?; expected one of perplexity, passkey"));
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

TEST(TaskOptions, WithoutOneTheTaskKeepsItsDefault) {
  EXPECT_EQ(keys_of({"--task=passkey"}), make_eval_task("passkey")->write());
}

TEST(TaskOptions, WhatIsUnknownIsNamedWithTheNearest) {
  EXPECT_THAT(tasks_refused({"--task=passkey", "--set", "passkey.trails=5"}),
              HasSubstr("passkey.trails: unknown key; did you mean 'trials'?"));
  EXPECT_THAT(tasks_refused({"--set", "paskey.trials=5"}),
              HasSubstr("paskey: is no task or arm; did you mean 'passkey'?"));
  EXPECT_THAT(tasks_refused({"--set", "zzz.trials=5"}),
              HasSubstr("zzz: is no task or arm; expected one of perplexity, passkey"));
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
