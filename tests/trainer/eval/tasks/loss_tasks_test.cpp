#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <numeric>

#include "tests/support/errors.h"
#include "tests/trainer/eval/tasks/task_fixtures.h"
#include "trainer/eval/eval_result.h"
#include "trainer/eval/tasks/key_tokens.h"
#include "trainer/eval/tasks/long_perplexity.h"
#include "trainer/eval/tasks/position_loss.h"
#include "trainer/eval/tasks/window_perplexity.h"

namespace longspan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// The loss of a target is how many tokens are before it: 1, 2, .., so that every sum is known.
class CountingArm : public Arm {
 public:
  std::string_view name() const override { return "counting"; }
  std::vector<double> target_nll(const EvalSubject&, const std::vector<int64_t>& ids,
                                 int64_t targets) override {
    std::vector<double> nll(targets);
    std::iota(nll.begin(), nll.end(), static_cast<double>(std::ssize(ids) - targets));
    return nll;
  }
  std::unique_ptr<Reading> read_passage(const EvalSubject&, const Passage&, int64_t) override {
    return nullptr;
  }
  double flops(CausalLm&, int64_t, int64_t) const override { return 0; }
  int64_t kv_bytes(CausalLm&, int64_t) const override { return 0; }
};

class LossTasks : public ::testing::Test {
 protected:
  Json text(const std::vector<size_t>& sizes) {
    std::vector<std::string> files;
    for (const size_t size : sizes) {
      files.push_back(folder_.write(std::to_string(files.size()) + ".txt", some_text(size, size)));
    }
    return files;
  }
  Json row(const EvalTask& task, int64_t length) {
    task.check({{length}});
    return task.run(fixture_.subject(std::make_shared<CountingArm>()), {{length}}).rows[0];
  }
  TaskFixture fixture_;
  TemporaryFolder folder_;
};

TEST_F(LossTasks, ChunksAverageOverTokens) {
  const auto task = task_with<WindowPerplexity>({{"text", text({10})}});
  const Json row = this->row(task, 4);
  // 1 2 3 | 1 2 3 | 1
  EXPECT_EQ(row["tokens_scored"], 7);
  EXPECT_DOUBLE_EQ(row["nll"].get<double>(), 13.0 / 7);
  EXPECT_DOUBLE_EQ(row["ppl"].get<double>(), std::exp(13.0 / 7));
  EXPECT_DOUBLE_EQ(row["bits_per_byte"].get<double>(), 13.0 / 7 / std::numbers::ln2);
}

TEST_F(LossTasks, LongLoraJoinsDocumentsAndAveragesWindows) {
  const auto task = task_with<WindowPerplexity>(
      {{"text", text({12, 9})}, {"protocol", "longlora"}, {"stride", 4}});
  const Json row = this->row(task, 8);
  // 21 tokens: starts 0, 4, 8, 12 and the last left out; each is 1 .. 7.
  EXPECT_EQ(row["tokens_scored"], 21);
  EXPECT_DOUBLE_EQ(row["nll"].get<double>(), 4);
}

/// Numbers of several protocols do not compare, so that each stands under its name.
TEST_F(LossTasks, TablesOfWindowsNameTheirProtocol) {
  const auto title = [](const Json& row) {
    return WindowPerplexity().tables({{"base", Json::array({row})}}, 0).at(0).title;
  };
  Json row = this->row(
      task_with<WindowPerplexity>({{"text", text({12})}, {"protocol", "yarn"}, {"stride", 3}}), 8);
  EXPECT_THAT(title(row), ::testing::StartsWith("Protocol yarn: Loss in nats a token of windows"));
  for (const Json& none : {Json(), Json(3)}) {
    row["protocol"] = none;
    EXPECT_THAT(title(row), ::testing::StartsWith("Loss in nats a token of windows"));
  }
}

TEST_F(LossTasks, YarnAveragesWindowsAndPressTokens) {
  Json keys = {{"text", text({12})}, {"protocol", "yarn"}, {"stride", 3}};
  // 1 .. 7 | 5 6 7 | 6 of [6, 12): the new token is the last, with 5 before it.
  const double first = 4, second = 6, third = 5;
  EXPECT_DOUBLE_EQ(row(task_with<WindowPerplexity>(keys), 8)["nll"].get<double>(),
                   (first + second + third) / 3);
  keys["protocol"] = "press";
  EXPECT_DOUBLE_EQ(row(task_with<WindowPerplexity>(keys), 8)["nll"].get<double>(),
                   (7 * first + 3 * second + third) / 11);
}

TEST_F(LossTasks, WindowsNeedRoomAndTexts) {
  const auto refused = [&](const Json& keys, int64_t length, ExitCode code) {
    return error_of([&] { row(task_with<WindowPerplexity>(keys), length); }, code);
  };
  EXPECT_THAT(refused(Json::object(), 8, ExitCode::kUsage), HasSubstr("--text"));
  EXPECT_THAT(
      refused({{"text", text({12})}, {"protocol", "yarn"}, {"stride", 7}}, 8, ExitCode::kUsage),
      HasSubstr("a stride of 7 leaves no context"));
  EXPECT_THAT(refused({{"text", text({12})}, {"tokens", 7}}, 8, ExitCode::kUsage),
              HasSubstr("tokens=7 leaves no window of 8"));
  EXPECT_THAT(refused({{"text", text({12})}}, 16, ExitCode::kData),
              HasSubstr("no document has 16 tokens: 0.txt (12 tokens)"));
  EXPECT_THAT(
      refused({{"text", text({12})}, {"protocol", "longlora"}, {"stride", 4}}, 12, ExitCode::kData),
      HasSubstr("have no window of 12"));
}

/// As eval wrote them until 29 November 2026.
TEST_F(LossTasks, ResultsInWordsOfBeforeCompareStill) {
  const auto subject = fixture_.subject(std::make_shared<CountingArm>());
  const auto read_back = [&](const EvalTask& task, const char* rule_before) {
    const TaskResult result = task.run(subject, {{8}});
    EvalResult whole{.label = "a", .tasks = {result}};
    Json written = whole.write();
    Json& rule = written["tasks"][0]["protocol"]["rule"];
    EXPECT_NE(rule.get<std::string>(), rule_before);
    rule = rule_before;
    EXPECT_EQ(read_eval_result(written, "older.json").tasks[0].protocol, result.protocol);
  };
  read_back(task_with<PositionLoss>({{"text", text({20})}}),
            "one pass over the first `length` tokens (BOS included where there is one); the mean "
            "loss of the positions of each bucket");
  read_back(task_with<WindowPerplexity>({{"text", text({20})}}),
            "disjoint windows, every token scored once with what is before it in its window; mean "
            "over tokens");
}

TEST_F(LossTasks, BucketsDouble) {
  EXPECT_THAT(position_buckets(1500),
              ElementsAre(PositionBucket{1, 64}, PositionBucket{64, 256}, PositionBucket{256, 512},
                          PositionBucket{512, 1024}, PositionBucket{1024, 1500}));
  EXPECT_THAT(position_buckets(40), ElementsAre(PositionBucket{1, 40}));
}

TEST_F(LossTasks, PositionsAreAveragedByBucket) {
  const auto task = task_with<PositionLoss>({{"text", text({300, 400, 299})}});
  task.check({{200, 300}});
  const auto rows = task.run(fixture_.subject(std::make_shared<CountingArm>()), {{200, 300}}).rows;
  ASSERT_EQ(rows.size(), 3);
  EXPECT_EQ(rows[0]["begin"], 1);
  EXPECT_EQ(rows[1]["begin"], 64);
  EXPECT_EQ(rows[1]["length"], 256);
  EXPECT_EQ(rows[1]["tokens_scored"], 2 * 192);  // the third document is too short
  EXPECT_DOUBLE_EQ(rows[0]["nll"].get<double>(), 32);
  EXPECT_DOUBLE_EQ(rows[1]["nll"].get<double>(), (64 + 255) / 2.0);
  EXPECT_DOUBLE_EQ(rows[2]["nll"].get<double>(), (256 + 299) / 2.0);
}

TEST_F(LossTasks, KeepFirstDocumentsAndShortLengths) {
  const auto subject = fixture_.subject(std::make_shared<CountingArm>());
  const Json keys = {{"text", text({400, 500, 600, 700})}};
  const auto positions = task_with<PositionLoss>(keys);
  auto drawn = positions.draw(subject, {{200, 300}});
  drawn->keep(200, 0.5);
  const TaskResult half = drawn->run(subject);
  EXPECT_EQ(half.rows.back()["length"], 200);  // the longest that is left
  EXPECT_EQ(half.rows.back()["n"], 2);
  EXPECT_EQ(half.protocol["documents"].size(), 2);
  const auto windows = task_with<WindowPerplexity>(keys);
  drawn = windows.draw(subject, {{200, 300}});
  drawn->keep(200, 0.25);
  const TaskResult quarter = drawn->run(subject);
  ASSERT_EQ(quarter.rows.size(), 1);
  EXPECT_EQ(quarter.rows[0]["tokens_scored"], 398);  // two windows of the first document
}

/// 20 tokens, at most 4 + 4 before one when short. Far context helps the tokens 9 (by 3 nats) and
/// 13 (by 1), and leaves 17 unlikely (a loss of 5).
std::vector<double> helped(const std::vector<int64_t>& ids, int64_t targets) {
  std::vector<double> nll;
  const bool is_whole = ids.size() == 20;
  for (size_t i = ids.size() - targets; i < ids.size(); ++i) {
    const int64_t id = ids[i];
    const double far = id == 17 ? 5 : 1;
    const double gain = id == 9 || id == 17 ? 3 : id == 13 ? 1 : 0;
    nll.push_back(is_whole ? far : far + gain);
  }
  return nll;
}

TEST(KeyTokens, GainFromFarContextAndAreLikely) {
  std::vector<int64_t> ids(20);
  std::iota(ids.begin(), ids.end(), 0);
  const KeyTokenRule rule{.short_tokens = 4, .block = 4};
  EXPECT_THAT(find_key_tokens(ids, rule, helped), ElementsAre(9));
  EXPECT_THAT(find_key_tokens(ids, {4, 4, 0.5, -2}, helped), ElementsAre(9, 13));
  EXPECT_THAT(find_key_tokens(ids, {4, 4, 2, -6}, helped), ElementsAre(9, 17));
  EXPECT_TRUE(find_key_tokens({1, 2, 3}, rule, helped).empty());
}

TEST(KeyTokens, AreReadBackFromTheirFile) {
  TemporaryFolder folder;
  std::vector<int64_t> ids(20);
  std::iota(ids.begin(), ids.end(), 0);
  const KeyTokenRule rule{.short_tokens = 4, .block = 4};
  KeyTokenFile first(folder.path("keys.json"), rule);
  EXPECT_THAT(first.of(ids, helped), ElementsAre(9));
  first.save();
  KeyTokenFile second(folder.path("keys.json"), rule);
  const TargetLosses none = [](const std::vector<int64_t>&, int64_t) -> std::vector<double> {
    throw std::logic_error("asked for what the file has");
  };
  EXPECT_THAT(second.of(ids, none), ElementsAre(9));
  EXPECT_THAT(error_of(
                  [&] {
                    KeyTokenFile(folder.path("keys.json"), {4, 8});
                  },
                  ExitCode::kUsage),
              HasSubstr("has key tokens of the rule"));
  folder.write("keys.json", "{}");
  EXPECT_THAT(error_of([&] { KeyTokenFile(folder.path("keys.json"), rule); }, ExitCode::kData),
              HasSubstr("rule: is missing"));
}

TEST_F(LossTasks, LongPerplexityIsOfTheKeyTokensAlone) {
  // With alpha 0 and beta far off every token that gains anything is one.
  const auto task = task_with<LongPerplexity>({{"text", text({80})},
                                               {"short", 16},
                                               {"block", 8},
                                               {"alpha", 0},
                                               {"beta", -100},
                                               {"key_tokens", folder_.path("keys.json")}});
  const auto subject = fixture_.subject(std::make_shared<CountingArm>());
  const TaskResult result = task.run(subject, {{64}});
  const Json file = Json::parse(std::ifstream(folder_.path("keys.json")));
  const auto places = file["places"].begin()->get<std::vector<double>>();
  ASSERT_GT(places.size(), 3);
  EXPECT_EQ(result.rows[0]["tokens_scored"], places.size());
  // The counting arm's loss of token i is i.
  EXPECT_NEAR(
      result.rows[0]["nll"].get<double>(),
      std::accumulate(places.begin(), places.end(), 0.0) / static_cast<double>(places.size()),
      1e-9);
  EXPECT_THAT(error_of([&] { task.check({{16}}); }, ExitCode::kUsage),
              HasSubstr("longppl.short = 16"));
}

/// The first arm's run chooses the key tokens for all: a model that has changed since chooses none.
TEST_F(LossTasks, LongPerplexityChoosesOnceForAllArms) {
  const auto task = task_with<LongPerplexity>(
      {{"text", text({80})}, {"short", 16}, {"block", 8}, {"alpha", 0}, {"beta", -100}});
  const auto subject = fixture_.subject(std::make_shared<CountingArm>());
  const auto drawn = task.draw(subject, {{64}});
  const TaskResult first = drawn->run(subject);
  subject.model.visit_parameters("",
                                 [](const std::string&, at::Tensor& weight) { weight.zero_(); });
  const TaskResult second = drawn->run(subject);
  EXPECT_EQ(second.rows[0]["tokens_scored"], first.rows[0]["tokens_scored"]);
  EXPECT_EQ(second.protocol["key_tokens_digest"], first.protocol["key_tokens_digest"]);
  EXPECT_THAT(error_of([&] { task.run(subject, {{64}}); }, ExitCode::kData),
              HasSubstr("no token gains"));
}

}  // namespace
}  // namespace longspan
