#include "trainer/eval/perplexity.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <numeric>

#include "tests/support/errors.h"
#include "tests/support/float32_bound.h"
#include "tests/trainer/eval/eval_fixtures.h"
#include "trainer/eval/eval_result.h"

namespace longspan {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

EvaluatedText counting_document(int64_t tokens) {
  EvaluatedText document{.name = "counting", .ids = std::vector<int64_t>(tokens)};
  std::iota(document.ids.begin(), document.ids.end(), 100);
  return document;
}

TEST(ContextWindow, EndsWithTheSameTokensAtEveryLength) {
  const EvaluatedText document = counting_document(64);
  for (int64_t length : {16, 20, 33, 64}) {
    auto window = context_window(document, length, {});
    ASSERT_EQ(std::ssize(window), length);
    EXPECT_EQ(window.back(), 163);
    EXPECT_EQ(window.front(), 164 - length);
  }
}

TEST(ContextWindow, CountsTheBosToken) {
  const EvaluatedText document = counting_document(63);
  for (int64_t length : {16, 64}) {
    auto window = context_window(document, length, 7);
    ASSERT_EQ(std::ssize(window), length);
    EXPECT_EQ(window.front(), 7);
    EXPECT_EQ(window[1], 163 - (length - 1));
    EXPECT_EQ(window.back(), 162);
  }
}

/// A list of one text would be taken for a text by nlohmann's initializer lists.
Json names(const std::vector<std::string>& files) { return files; }

class PerplexityRun : public ::testing::Test {
 protected:
  TaskResult run(const std::vector<int64_t>& lengths, const Json& keys,
                 std::optional<int64_t> bos = {}) {
    const auto task = task_with<Perplexity>(keys);
    task.check({lengths});
    return task.run({*model_, tokenizer_, bos}, {lengths});
  }
  std::string error_of(const std::vector<int64_t>& lengths, const Json& keys, ExitCode code) {
    return longspan::error_of([&] { run(lengths, keys); }, code);
  }
  /// By definition: log softmax of whole logits, one target at a time.
  double expected_nll(const std::string& window, int64_t targets) {
    at::NoGradGuard no_gradients;
    auto ids32 = tokenizer_.encode(window);
    std::vector<int64_t> ids(ids32.begin(), ids32.end());
    at::Tensor input = at::tensor(ids, at::kLong).unsqueeze(0);
    at::Tensor hidden = model_->hidden_states({input, {}, {}}).squeeze(0);
    at::Tensor log_p = at::log_softmax(at::linear(hidden, model_->lm_head_weight()), -1);
    double sum = 0;
    int64_t size = std::ssize(ids);
    for (int64_t t = size - targets; t < size; ++t) sum -= log_p[t - 1][ids[t]].item<double>();
    return sum / static_cast<double>(targets);
  }

  double bound(double expected) const {
    return float32_bound(expected, terms_of_loss(model_->config(), 60));
  }

  std::unique_ptr<CausalLm> model_ = byte_model();
  ByteTokenizer tokenizer_;
  TemporaryFolder folder_;
};

TEST_F(PerplexityRun, ScoresTheLastTargetsBeforeTheLargestLength) {
  std::string text = some_text(100);
  TaskResult result =
      run({16, 24, 60}, {{"text", names({folder_.write("a.txt", text)})}, {"targets", 8}});
  ASSERT_EQ(result.rows.size(), 3);
  for (const auto& row : result.rows) {
    int64_t length = row["length"];
    const double expected = expected_nll(text.substr(60 - length, length), 8);
    EXPECT_NEAR(row["nll"].get<double>(), expected, bound(expected));
    EXPECT_EQ(row["tokens_scored"], 8);
    EXPECT_NEAR(row["ppl"].get<double>(), std::exp(row["nll"].get<double>()), 1e-9);
    EXPECT_NEAR(row["bits_per_byte"].get<double>(), row["nll"].get<double>() / std::numbers::ln2,
                1e-9);
    EXPECT_TRUE(row["nll_standard_error"].is_null());
  }
}

TEST_F(PerplexityRun, PutsBosFirstWhereTheTokenizerDoes) {
  std::string text = some_text(100);
  std::string bos = "A";
  TaskResult result =
      run({16, 60}, {{"text", names({folder_.write("a.txt", text)})}, {"targets", 8}}, 'A');
  const double near = expected_nll(bos + text.substr(44, 15), 8),
               far = expected_nll(bos + text.substr(0, 59), 8);
  EXPECT_NEAR(result.rows[0]["nll"].get<double>(), near, bound(near));
  EXPECT_NEAR(result.rows[1]["nll"].get<double>(), far, bound(far));
  EXPECT_EQ(result.protocol["bos_token_id"], 'A');
}

TEST_F(PerplexityRun, AveragesOverDocuments) {
  std::string a = folder_.write("a.txt", some_text(90, 1));
  std::string b = folder_.write("b.txt", some_text(90, 2));
  TaskResult result = run({40}, {{"text", names({a, b})}, {"targets", 8}});
  auto nll = result.rows[0]["document_nll"].get<std::vector<double>>();
  ASSERT_EQ(nll.size(), 2);
  EXPECT_NE(nll[0], nll[1]);
  EXPECT_DOUBLE_EQ(result.rows[0]["nll"].get<double>(), (nll[0] + nll[1]) / 2);
  EXPECT_NEAR(result.rows[0]["nll_standard_error"].get<double>(), std::abs(nll[0] - nll[1]) / 2,
              1e-12);
  EXPECT_EQ(result.rows[0]["tokens_scored"], 16);
}

TEST_F(PerplexityRun, LeavesShortDocumentsOut) {
  std::string a = folder_.write("a.txt", some_text(39));
  std::string b = folder_.write("b.txt", some_text(40));
  TaskResult result = run({40}, {{"text", names({a, b})}, {"targets", 8}});
  EXPECT_EQ(result.rows[0]["tokens_scored"], 8);
  EXPECT_EQ(result.protocol, run({40}, {{"text", names({b})}, {"targets", 8}}).protocol);
}

TEST_F(PerplexityRun, NamesTheLongestOfManyShortDocuments) {
  std::string records;
  for (int size = 1; size <= 30; ++size) {
    records += "{\"text\": \"" + some_text(size) + "\"}\n";
  }
  std::string many = folder_.write("many.jsonl", records);
  std::string error = error_of({40}, {{"text", names({many})}, {"targets", 8}}, ExitCode::kData);
  EXPECT_THAT(error, HasSubstr("(30 tokens)"));
  EXPECT_THAT(error, HasSubstr("(21 tokens) and 20 shorter ones"));
  EXPECT_THAT(error, Not(HasSubstr("(20 tokens)")));
  std::string blank = folder_.write("blank.txt", "");
  EXPECT_THAT(error_of({40}, {{"text", names({blank})}, {"targets", 8}}, ExitCode::kData),
              HasSubstr("there is none with text"));
}

TEST_F(PerplexityRun, TakesTheFirstDocumentsThatAreLongEnough) {
  std::string a = folder_.write("a.txt", some_text(39));
  std::string b = folder_.write("b.txt", some_text(40));
  std::string c = folder_.write("c.txt", some_text(50));
  TaskResult result = run({40}, {{"text", names({a, b, c})}, {"documents", 1}, {"targets", 8}});
  ASSERT_EQ(result.protocol["documents"].size(), 1);
  EXPECT_THAT(result.protocol["documents"][0]["name"].get<std::string>(), HasSubstr("b.txt"));
}

TEST_F(PerplexityRun, ListsTheTokensOfAllDocumentsWhenNoneIsLongEnough) {
  std::string a = folder_.write("a.txt", some_text(39));
  std::string b = folder_.write("b.txt", some_text(20));
  std::string error = error_of({40}, {{"text", names({a, b})}, {"targets", 8}}, ExitCode::kData);
  EXPECT_THAT(error, HasSubstr("39 tokens"));
  EXPECT_THAT(error, HasSubstr("20 tokens"));
}

TEST_F(PerplexityRun, NeedsRoomForContextAndTexts) {
  std::string a = folder_.write("a.txt", some_text(50));
  EXPECT_THAT(error_of({40}, {{"text", names({a})}, {"targets", 40}}, ExitCode::kUsage),
              HasSubstr("--targets"));
  EXPECT_THAT(error_of({40}, {{"targets", 8}}, ExitCode::kUsage), HasSubstr("--text"));
  EXPECT_THAT(
      error_of({40}, {{"text", names({a})}, {"documents", -1}, {"targets", 8}}, ExitCode::kUsage),
      HasSubstr("documents: -1 is out of range"));
}

TEST_F(PerplexityRun, NonFiniteWeightsAreAnErrorNotANumber) {
  model_->visit_parameters("", [](const std::string& name, at::Tensor& parameter) {
    if (name == "model.norm.weight") parameter.fill_(NAN);
  });
  std::string a = folder_.write("a.txt", some_text(50));
  EXPECT_THAT(error_of({40}, {{"text", names({a})}, {"targets", 8}}, ExitCode::kNonFinite),
              HasSubstr("is not finite; try --dtype float32"));
}

/// The same tokens are scored, wherever the longest length has gone.
TEST_F(PerplexityRun, KeepsItsTargetsWhenItKeepsFewerLengths) {
  const std::string a = folder_.write("a.txt", some_text(80, 1));
  const std::string b = folder_.write("b.txt", some_text(80, 2));
  const auto task = task_with<Perplexity>({{"text", names({a, b})}, {"targets", 8}});
  const EvalSubject subject{*model_, tokenizer_, {}};
  const auto drawn = task.draw(subject, {{16, 60}});
  const Json whole = drawn->run(subject).rows[0];
  drawn->keep(16, 0.25);
  const TaskResult kept = drawn->run(subject);
  ASSERT_EQ(kept.rows.size(), 1);
  EXPECT_EQ(kept.rows[0]["document_nll"], Json::array({whole["document_nll"][0]}));
  EXPECT_EQ(kept.protocol["target_end"], 60);
}

TEST_F(PerplexityRun, OtherTextsGiveAnotherProtocol) {
  const Json keys = {{"text", names({folder_.write("a.txt", some_text(50, 1))})}, {"targets", 8}};
  Json first = run({40}, keys).protocol;
  EXPECT_EQ(run({40}, keys).protocol, first);
  folder_.write("a.txt", some_text(50, 2));
  EXPECT_NE(run({40}, keys).protocol, first);
}

/// As eval wrote it until 29 November 2026.
TEST_F(PerplexityRun, ComparesWithResultsInWordsOfBefore) {
  const Json keys = {{"text", names({folder_.write("a.txt", some_text(50, 1))})}, {"targets", 8}};
  const TaskResult result = run({40}, keys);
  EvalResult whole{.label = "a", .tasks = {result}};
  Json written = whole.write();
  written["tasks"][0]["protocol"]["rule"] =
      "fixed-target context sweep: the same target tokens are scored at every length; a length is "
      "the number of tokens read (BOS included where there is one), the last of which are the "
      "targets; every document starts afresh; one pass, no sliding window";
  EXPECT_NE(written["tasks"][0]["protocol"], result.protocol);
  EXPECT_EQ(read_eval_result(written, "older.json").tasks[0].protocol, result.protocol);
}

TEST(Perplexity, WritesTheKeysThatItReads) {
  const Json keys = {{"text", names({"a.txt"})}, {"documents", 2}, {"targets", 64}};
  EXPECT_EQ(task_with<Perplexity>(keys).write(), keys);
  EXPECT_EQ(Perplexity().write(),
            Json({{"text", Json::array()}, {"documents", 0}, {"targets", 512}}));
}

TEST(Perplexity, NamesTheFilesThatItReads) {
  TemporaryFolder folder;
  const std::string a = folder.write("texts/a.txt", "x"), b = folder.write("texts/b.md", "y");
  const auto task = task_with<Perplexity>({{"text", names({folder.path("texts")})}});
  EXPECT_EQ(task.inputs(), (std::vector<std::filesystem::path>{a, b}));
  EXPECT_TRUE(Perplexity().inputs().empty());
}

}  // namespace
}  // namespace longspan
