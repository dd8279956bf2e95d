#include "trainer/eval/tasks/ruler.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <sstream>

#include "src/core/text.h"
#include "tests/support/errors.h"
#include "tests/trainer/eval/tasks/task_fixtures.h"

namespace longspan {
namespace {

using ::testing::Each;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::StartsWith;

class Ruler : public ::testing::Test {
 protected:
  /// The samples of one task.
  std::vector<DrawnItem> samples(const std::string& task, int64_t length, int64_t count = 2) {
    std::vector<DrawnItem> items;
    const Json keys = {{"tasks", std::vector<std::string>{task}}, {"samples", count}};
    for (auto& [its_length, item] : fixture_.items(task_with<RulerTask>(keys), {length})) {
      items.push_back(std::move(item));
    }
    return items;
  }
  TaskFixture fixture_;
};

TEST_F(Ruler, EverySampleFitsItsLength) {
  for (const auto& task : ruler_tasks()) {
    if (task.starts_with("qa_")) continue;
    const auto drawn = samples(task, 12000);
    ASSERT_EQ(drawn.size(), 2) << task;
    for (const auto& item : drawn) {
      ASSERT_EQ(item.questions.size(), 1) << task;
      EXPECT_EQ(item.questions[0].subset, task);
      const int64_t tokens = item_tokens(fixture_.subject(), item);
      EXPECT_LE(tokens, 12000) << task;
      EXPECT_GT(tokens, 11000) << task;
    }
    EXPECT_NE(drawn[0].questions[0].answers, drawn[1].questions[0].answers);
  }
}

/// RULER's string_match_all: the mean over the references of whether each stands in the answer, in
/// letters of either case. What is fed as the right answer has all of them. tokens_to_generate is
/// that of its constants.py.
TEST_F(Ruler, AnswersAreScoredByTheReferencesInThem) {
  const std::map<std::string, int64_t> kNewTokens{{"vt", 30}, {"cwe", 120}, {"fwe", 50}};
  for (const auto& task : ruler_tasks()) {
    if (task.starts_with("qa_")) continue;
    const Question question = samples(task, 12000)[0].questions[0];
    const std::string& right = question.answers[0];
    const std::vector<std::string>& references = question.references_or_answers();
    const auto score_of = [&](const std::string& text) {
      return score_answer(question, {.text = text});
    };
    EXPECT_EQ(score_of(" " + right + "."), 1) << task;
    EXPECT_EQ(score_of(lower_case(right)), 1) << task;
    EXPECT_EQ(score_of(question.text), 0) << task;
    std::string but_one;
    for (size_t i = 1; i < references.size(); ++i) but_one += references[i] + "\n";
    const auto count = static_cast<double>(references.size());
    EXPECT_DOUBLE_EQ(score_of(but_one), (count - 1) / count) << task;
    const auto tokens = kNewTokens.find(task);
    EXPECT_EQ(question.max_new_tokens, tokens == kNewTokens.end() ? 128 : tokens->second) << task;
  }
}

TEST_F(Ruler, NeedlesAreAsManyAsTheTaskSays) {
  const std::map<std::string, size_t> needles{{"niah_single_1", 1},   {"niah_single_2", 1},
                                              {"niah_single_3", 1},   {"niah_multikey_1", 4},
                                              {"niah_multivalue", 4}, {"niah_multiquery", 4}};
  for (const auto& [task, count] : needles) {
    const DrawnItem item = samples(task, 4000)[0];
    EXPECT_EQ(occurrences(item.passage.context, "One of the special magic "), count) << task;
    EXPECT_EQ(item.questions[0].max_new_tokens, 128);
  }
  for (const auto* task : {"niah_multikey_2", "niah_multikey_3"}) {
    const std::string context = samples(task, 8000)[0].passage.context;
    EXPECT_THAT(split(context, '\n'), Each(StartsWith("One of the special magic "))) << task;
    EXPECT_GT(occurrences(context, "One of the special magic "), 30) << task;
  }
}

TEST_F(Ruler, UuidsAreKeysAndValues) {
  const DrawnItem item = samples("niah_multikey_3", 8000)[0];
  EXPECT_THAT(item.questions[0].answers[0],
              MatchesRegex("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"));
  EXPECT_THAT(item.questions[0].text, HasSubstr("special magic uuid for "));
  EXPECT_THAT(samples("niah_single_3", 4000)[0].questions[0].text,
              StartsWith("\nWhat is the special magic uuid for "));
}

TEST_F(Ruler, SamplesStandAtEvenDepths) {
  const auto drawn = samples("niah_single_1", 4000, 5);
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_DOUBLE_EQ(*drawn[i].questions[0].depth, static_cast<double>(i) / 4);
  }
}

TEST_F(Ruler, VariablesHandTheValueOn) {
  const DrawnItem item = samples("vt", 4000)[0];
  const auto& question = item.questions[0];
  ASSERT_EQ(question.references.size(), 5);
  EXPECT_THAT(question.references, Each(MatchesRegex("[A-Z]{5}")));
  const std::string& context = item.passage.context;
  size_t before = 0;
  for (size_t i = 1; i < 5; ++i) {
    const std::string line =
        "VAR " + question.references[i] + " = VAR " + question.references[i - 1];
    EXPECT_EQ(occurrences(context, line), 1);
    EXPECT_GT(context.find(line), before);
    before = context.find(line);
  }
  const std::string first = evidence_of(item, 0, 0);
  EXPECT_THAT(first, StartsWith("VAR " + question.references[0] + " = "));
  EXPECT_THAT(question.text,
              StartsWith("\nQuestion: Find all variables that are assigned the value " +
                         first.substr(first.size() - 5)));
  EXPECT_THAT(question.text, EndsWith("5 variables are assigned the value " +
                                      first.substr(first.size() - 5) + ", they are:"));
  // The example before it: another chain, with its answer.
  EXPECT_EQ(occurrences(item.passage.instruction, "Memorize and track"), 2);
  EXPECT_EQ(occurrences(item.passage.instruction, "they are: "), 1);
}

/// How often each word stands in "1. word 2. word".
std::map<std::string, int> counts_of(const std::string& list) {
  std::istringstream stream(list);
  std::map<std::string, int> counts;
  for (std::string number, word; stream >> number >> word;) ++counts[word];
  return counts;
}

TEST_F(Ruler, TenWordsAreCommon) {
  for (const auto& [length, common, uncommon] :
       {std::tuple{3000, 6, 1}, std::tuple{12000, 30, 3}}) {
    const DrawnItem item = samples("cwe", length)[0];
    const auto counts = counts_of(item.passage.context);
    const auto& references = item.questions[0].references;
    ASSERT_EQ(references.size(), 10);
    for (const auto& [word, count] : counts) {
      const bool is_common =
          std::find(references.begin(), references.end(), word) != references.end();
      EXPECT_EQ(count, is_common ? common : uncommon) << word;
    }
  }
}

/// Rank k of n words stands n k^-2 / zeta(2) times: of 1000 words 607, 151, 67, 37, ...
TEST_F(Ruler, CodedWordsFollowAZetaDistribution) {
  const DrawnItem item = samples("fwe", 8000)[0];
  std::istringstream stream(item.passage.context);
  std::map<std::string, int> counts;
  for (std::string word; stream >> word;) ++counts[word];
  std::vector<std::pair<int, std::string>> ranks;
  for (const auto& [word, count] : counts) ranks.emplace_back(count, word);
  std::sort(ranks.rbegin(), ranks.rend());
  EXPECT_EQ(ranks[0].second, "...");
  const auto& references = item.questions[0].references;
  ASSERT_EQ(references.size(), 3);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(ranks[i + 1].second, references[i]);
    const double share = 1.0 / static_cast<double>((i + 2) * (i + 2));
    EXPECT_NEAR(ranks[i + 1].first, ranks[0].first * share, 1);
  }
}

/// Also in the smallest items: what is asked for has one answer.
TEST_F(Ruler, TheThirdCodedWordStandsMoreOftenThanTheFourth) {
  for (const int64_t length : {800, 900, 1000, 1200}) {
    const DrawnItem item = samples("fwe", length)[0];
    std::istringstream stream(item.passage.context);
    std::map<std::string, int> counts;
    for (std::string word; stream >> word;) ++counts[word];
    const int third = counts[item.questions[0].references[2]];
    EXPECT_EQ(std::ranges::count_if(counts, [&](const auto& x) { return x.second >= third; }), 4)
        << length;
  }
}

class RulerQa : public Ruler {
 protected:
  std::vector<DrawnItem> drawn(const std::string& task, const std::string& key,
                               const std::string& file, int64_t samples, int64_t length) {
    const auto ruler = task_with<RulerTask>({{"tasks", std::vector<std::string>{task}},
                                             {"samples", samples},
                                             {key, folder_.write(key + ".json", file)}});
    ruler.check({});
    std::vector<DrawnItem> items;
    for (auto& [its_length, item] : fixture_.items(ruler, {length})) {
      items.push_back(std::move(item));
    }
    return items;
  }
  TemporaryFolder folder_;
};

constexpr const char* kSquad = R"({"data": [
  {"paragraphs": [
    {"context": "The mill stands in Rouen.",
     "qas": [{"question": "Where is the mill?", "answers": [{"text": "Rouen"}, {"text": "Rouen"}]},
             {"question": "Who owns it?", "answers": [], "is_impossible": true}]},
    {"context": "The tower is of brick.", "qas": []}]},
  {"paragraphs": [
    {"context": "The bridge was built in 1925.",
     "qas": [{"question": "When was the bridge built?", "answers": [{"text": "1925"}]}]}]}]})";

TEST_F(RulerQa, SquadAsksAboutOneDocumentAmongOthers) {
  const auto items = drawn("qa_1", "squad", kSquad, 3, 600);
  ASSERT_EQ(items.size(), 3);
  EXPECT_THAT(items[0].questions[0].answers, ::testing::ElementsAre("Rouen"));
  EXPECT_THAT(items[1].questions[0].answers, ::testing::ElementsAre("1925"));
  EXPECT_THAT(items[2].questions[0].answers, ::testing::ElementsAre("Rouen"));
  EXPECT_THAT(items[0].questions[0].text, EndsWith("Question: Where is the mill? Answer:"));
  EXPECT_EQ(evidence_of(items[0], 0), "The mill stands in Rouen.");
  // Depths 0, 0.5 and 1: the first, a middle and the last document.
  EXPECT_THAT(items[0].passage.context, StartsWith("Document 1:\nThe mill stands in Rouen.\n\n"));
  EXPECT_THAT(items[1].passage.context, HasSubstr("The bridge was built in 1925.\n\nDocument "));
  EXPECT_THAT(items[2].passage.context, EndsWith("The mill stands in Rouen."));
  EXPECT_EQ(occurrences(items[2].passage.context, "Rouen"), 1);
  EXPECT_LE(item_tokens(fixture_.subject(), items[0]), 600);
}

TEST_F(RulerQa, HotpotQaAsksAboutAllItsParagraphs) {
  const std::string file = R"([
    {"question": "Who built the bridge by the mill?", "answer": "Anna",
     "context": [["Mill", ["It is by the bridge.", " It is old."]], ["Bridge", ["Anna built it."]]]},
    {"question": "What is red?", "answer": "the tower", "context": [["Tower", ["It is red."]]]}])";
  const auto items = drawn("qa_2", "hotpotqa", file, 1, 700);
  const auto& question = items.at(0).questions[0];
  EXPECT_EQ(question.evidence.size(), 2);
  EXPECT_THAT(items[0].passage.context, HasSubstr(":\nMill\nIt is by the bridge. It is old."));
  EXPECT_THAT(items[0].passage.context, HasSubstr(":\nBridge\nAnna built it."));
  EXPECT_THAT(items[0].passage.context, HasSubstr(":\nTower\nIt is red."));
  EXPECT_EQ(question.depth, std::nullopt);
  EXPECT_EQ(score_answer(question, {.text = " anna, I think"}), 1);
}

TEST_F(RulerQa, RefusesWhatIsNoDataSet) {
  const auto refused = [&](const std::string& file) {
    return error_of([&] { drawn("qa_1", "squad", file, 1, 600); }, ExitCode::kData);
  };
  EXPECT_THAT(refused(R"({"data": [{"paragraphs": [{"qas": []}]}]})"),
              HasSubstr("data.0.paragraphs.0.context: is missing"));
  EXPECT_THAT(refused(R"({"data": []})"), HasSubstr("has no question with an answer"));
  EXPECT_THAT(refused(R"({"data": [{"paragraphs": [{"context": "One.", "qas":
      [{"question": "q", "answers": [{"text": "One"}]}]}]}]})"),
              HasSubstr("has no document but the one that is asked about"));
  const auto task = task_with<RulerTask>({{"tasks", std::vector<std::string>{"qa_2"}}});
  EXPECT_THAT(error_of([&] { task.check({}); }, ExitCode::kUsage),
              HasSubstr("--set ruler.hotpotqa=FILE"));
}

TEST_F(Ruler, RefusesTasksThatItHasNot) {
  EXPECT_THAT(error_of(
                  [&] {
                    task_with<RulerTask>({{"tasks", std::vector<std::string>{"qa_3"}}});
                  },
                  ExitCode::kUsage),
              HasSubstr("'qa_3' is not known"));
}

}  // namespace
}  // namespace longspan
