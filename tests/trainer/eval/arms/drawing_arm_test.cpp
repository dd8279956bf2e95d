#include "trainer/eval/arms/drawing_arm.h"

#include <gtest/gtest.h>

#include "tests/trainer/eval/tasks/task_fixtures.h"
#include "trainer/eval/tasks/needle.h"
#include "trainer/eval/tasks/scorers.h"

namespace longspan {
namespace {

TEST(DrawingArm, GivesAllThatAnAnswerIsScoredBy) {
  TaskFixture fixture;
  const auto task = task_with<NeedleTask>({{"seed", 7}});
  Json line;
  DrawingArm arm(task, [&](const AskedItem& asked) { line = asked.line; });
  arm.read_passage(fixture.subject(), {"Read: ", "it is 12."}, 99)
      ->ask({.text = "\nWhat?",
             .answers = {"12", "twelve"},
             .max_new_tokens = 5,
             .metric = "number",
             .references = {"12"},
             .first_line_only = true,
             .depth = 0.25,
             .subset = "numbers"});
  EXPECT_EQ(line, Json({{"task", "needle"},
                        {"length", 99},
                        {"seed", 7},
                        {"context", "Read: it is 12."},
                        {"question", "\nWhat?"},
                        {"answers", Json::array({"12", "twelve"})},
                        {"answer_prefix", " "},
                        {"max_new_tokens", 5},
                        {"metric", "number"},
                        {"references", Json::array({"12"})},
                        {"first_line_only", true},
                        {"depth", 0.25},
                        {"subset", "numbers"}}));
}

/// A program that has the lines alone finds each right answer right, and an empty one wrong.
TEST(DrawingArm, EveryRightAnswerIsRightByItsLine) {
  const std::vector<std::pair<std::string, Json>> kTasks{
      {"passkey", Json{{"trials", 1}}},
      {"needle", Json{{"mode", "single"}, {"needles", 3}}},
      {"needle", Json{{"mode", "multi_value"}, {"needles", 3}}},
      {"needle", Json{{"mode", "multi_query"}, {"needles", 3}}},
      {"kv", Json{{"questions", 3}}},
      {"threading", Json{{"threads", 2}, {"hops", 2}}},
      {"ruler", Json{{"tasks", {"niah_multikey_3", "vt", "cwe", "fwe"}}, {"samples", 1}}},
  };
  TaskFixture fixture;
  for (const auto& [name, keys] : kTasks) {
    const auto task = make_eval_task(name);
    give_keys(*task, keys);
    int64_t lines = 0;
    const auto check = [&](const AskedItem& asked) {
      const Json& line = asked.line;
      const Scorer score = find_scorer(line["metric"].get<std::string>());
      ASSERT_NE(score, nullptr) << line["metric"];
      const auto references = line["references"].get<std::vector<std::string>>();
      const auto right =
          line["answer_prefix"].get<std::string>() + line["answers"][0].get<std::string>();
      EXPECT_EQ(score(right, references), 1) << name << ": " << right;
      EXPECT_EQ(score("", references), 0) << name;
      ++lines;
    };
    task->run(fixture.subject(std::make_shared<DrawingArm>(*task, check)), {{12000}});
    EXPECT_GT(lines, 0) << name;
  }
}

}  // namespace
}  // namespace longspan
