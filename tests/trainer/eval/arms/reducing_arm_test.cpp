#include "trainer/eval/arms/reducing_arm.h"

#include <gmock/gmock.h>

#include "tests/support/errors.h"
#include "tests/trainer/eval/arms/arm_fixtures.h"
#include "trainer/eval/arms/downsample.h"

namespace longspan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Each arm that cuts, in each of its ways.
const std::vector<std::pair<std::string, Json>> kReducing = {
    {"retrieval", {{"method", "bm25"}, {"chunk_tokens", 16}}},
    {"retrieval", {{"method", "embedding"}, {"chunk_tokens", 16}}},
    {"downsample", {{"by", "chunk"}, {"chunk_tokens", 16}}},
    {"downsample", {{"by", "sentence"}}},
    {"truncate", {{"keep", "ends"}}},
    {"truncate", {{"keep", "head"}}},
    {"truncate", {{"keep", "tail"}}},
    {"truncate", {{"keep", "middle"}}}};

std::unique_ptr<Arm> reducing(const std::pair<std::string, Json>& entry, int64_t budget_tokens) {
  Json keys = entry.second;
  keys["budget_tokens"] = budget_tokens;
  return arm_with(entry.first, keys);
}

std::vector<int64_t> byte_ids(const std::string& text) {
  const auto ids = ByteTokenizer().encode(text);
  return {ids.begin(), ids.end()};
}

class Reducing : public ::testing::Test {
 protected:
  std::string name(const std::pair<std::string, Json>& entry) const {
    return entry.first + entry.second.dump();
  }
  std::string kept_by(const std::string& arm, const Json& keys, LongContext context) {
    context.ids = byte_ids(context.text);
    for (size_t i = 1; i <= context.ids.size(); ++i) context.byte_ends.push_back(i);
    auto made = arm_with(arm, keys);
    std::string text;
    for (const auto& range : dynamic_cast<ReducingArm&>(*made).keep(subject_, context)) {
      text += "[" + context.text_of(range) + "]";
    }
    return text;
  }

  std::unique_ptr<CausalLm> model_ = byte_model();
  ByteTokenizer tokenizer_;
  EvalSubject subject_{*model_, tokenizer_, 1};
};

TEST_F(Reducing, KeepsAllOfWhatFits) {
  const Item item = byte_item(150);
  const Answer full = answer_by(*make_arm("full"), subject_, item);
  const std::vector<int64_t> ids = byte_ids("\1" + some_text(150));
  const auto losses = make_arm("full")->target_nll(subject_, ids, 8);
  for (const auto& entry : kReducing) {
    const Answer answer = answer_by(*reducing(entry, 400), subject_, item);
    EXPECT_EQ(answer.nll, full.nll) << name(entry);
    EXPECT_EQ(answer.text, full.text) << name(entry);
    EXPECT_EQ(answer.recall, 1.0) << name(entry);
    EXPECT_EQ(reducing(entry, 400)->target_nll(subject_, ids, 8), losses) << name(entry);
  }
}

TEST_F(Reducing, ReadsNoMoreThanItsBudget) {
  Item item = byte_item(300);
  for (size_t i = 18; i + 1 < 300; i += 20) item.passage.context.replace(i, 2, ". ");
  const double full = answer_by(*make_arm("full"), subject_, item).nll;
  const std::vector<int64_t> ids = byte_ids("\1" + some_text(300));
  const auto losses = make_arm("full")->target_nll(subject_, ids, 8);
  for (const auto& entry : kReducing) {
    const Answer answer = answer_by(*reducing(entry, 100), subject_, item);
    EXPECT_LE(answer.tokens_read, 100 - std::ssize(" answer") + 1) << name(entry);
    EXPECT_GE(answer.tokens_read, 60) << name(entry);
    EXPECT_NE(answer.nll, full) << name(entry);
    EXPECT_NE(reducing(entry, 100)->target_nll(subject_, ids, 8), losses) << name(entry);
  }
}

TEST_F(Reducing, ByDefaultTheBudgetIsTheModelsLength) {
  const Answer answer = answer_by(*make_arm("truncate"), subject_, byte_item(300));
  EXPECT_EQ(answer.tokens_read, 64 - 7);  // " answer"
}

/// What is generated has room too, up to half of the budget; a text that need not be cut is not.
TEST_F(Reducing, LeavesRoomForWhatIsGenerated) {
  Item item = byte_item(300);
  for (const auto& [new_tokens, room] : {std::pair{20, 20}, {1000, 32}}) {
    item.question.max_new_tokens = new_tokens;
    EXPECT_EQ(answer_by(*make_arm("truncate"), subject_, item).tokens_read, 64 - room);
  }
  Item short_item = byte_item(20);
  short_item.question.max_new_tokens = 60;
  EXPECT_EQ(answer_by(*make_arm("truncate"), subject_, short_item).tokens_read,
            answer_by(*make_arm("full"), subject_, short_item).tokens_read);
}

/// The letter of a choice stands everywhere.
TEST_F(Reducing, TheLetterOfAChoiceIsNoEvidence) {
  Item item = byte_item(300, "a");
  item.question.evidence.clear();
  EXPECT_TRUE(answer_by(*make_arm("truncate"), subject_, item).recall.has_value());
  item.question.metric = "choice";
  item.question.distractors = {"b"};
  EXPECT_FALSE(answer_by(*make_arm("truncate"), subject_, item).recall.has_value());
}

/// Cut by its end a plain text is the text from there on.
TEST_F(Reducing, APlainTextCutByItsEndIsItsWindow) {
  const std::string text = some_text(200);
  const auto cut = arm_with("truncate", {{"keep", "tail"}, {"budget_tokens", 50}});
  const auto full = make_arm("full");
  EXPECT_EQ(cut->target_nll(subject_, byte_ids("\1" + text), 8),
            full->target_nll(subject_, byte_ids("\1" + text.substr(151)), 8));
  EXPECT_EQ(make_arm("no_context")->target_nll(subject_, byte_ids("\1" + text), 8),
            full->target_nll(subject_, byte_ids("\1" + text.substr(191)), 8));
  EXPECT_FALSE(make_arm("oracle")->reads_plain_text());
  for (const char* name : {"retrieval", "downsample", "truncate", "no_context", "oracle"}) {
    EXPECT_TRUE(make_arm(name)->leaves_out()) << name;
  }
  EXPECT_FALSE(full->leaves_out());
}

TEST_F(Reducing, TruncateKeepsThePartItIsTold) {
  const LongContext context{.text = "abcdefghij", .budget = 5};
  EXPECT_EQ(kept_by("truncate", {{"keep", "head"}}, context), "[abcde]");
  EXPECT_EQ(kept_by("truncate", {{"keep", "tail"}}, context), "[fghij]");
  EXPECT_EQ(kept_by("truncate", {{"keep", "middle"}}, context), "[cdefg]");
  EXPECT_EQ(kept_by("truncate", {{"keep", "ends"}}, context), "[ab][hij]");
  EXPECT_EQ(kept_by("no_context", {}, context), "");
}

TEST_F(Reducing, RetrievalByWordsReadsTheChunksThatHaveThem) {
  LongContext context{
      .text = "one two  red hat  blue cat red dog  ", .question = "Red?", .budget = 18};
  Json keys = {{"chunk_tokens", 9}};
  EXPECT_EQ(kept_by("retrieval", keys, context), "[red hat  ][red dog  ]");
  keys["top_k"] = 1;
  EXPECT_EQ(kept_by("retrieval", keys, context), "[red hat  ]");
  context.question = "a blue CAT";
  EXPECT_EQ(kept_by("retrieval", keys, context), "[blue cat ]");
  context.plain_text = true;
  EXPECT_EQ(kept_by("retrieval", keys, context), "[blue cat ][red dog  ]");
}

TEST_F(Reducing, RetrievalByEmbeddingReadsTheChunkNearestToTheQuestion) {
  const std::string text = some_text(96, 3);
  const Json keys = {{"method", "embedding"}, {"chunk_tokens", 16}, {"top_k", 1}};
  for (size_t chunk : {0, 2, 5}) {
    const std::string asked = text.substr(16 * chunk, 16);
    EXPECT_EQ(kept_by("retrieval", keys, {.text = text, .question = asked, .budget = 40}),
              "[" + asked + "]");
  }
}

/// The same text with room for more right before the scored tokens is searched in fewer chunks.
TEST_F(Reducing, RetrievalByEmbeddingForgetsOtherChunks) {
  const Json keys = {{"method", "embedding"}, {"chunk_tokens", 16}};
  LongContext context{.text = some_text(96, 3), .question = "ab", .plain_text = true};
  context.ids = byte_ids(context.text);
  for (size_t i = 1; i <= context.ids.size(); ++i) context.byte_ends.push_back(i);
  const auto kept = [&](ReducingArm& arm, int64_t budget) {
    context.budget = budget;
    std::string text;
    for (const auto& range : arm.keep(subject_, context)) text += context.text_of(range) + "|";
    return text;
  };
  const auto again = arm_with("retrieval", keys), fresh = arm_with("retrieval", keys);
  auto& arm = dynamic_cast<ReducingArm&>(*again);
  kept(arm, 96);
  EXPECT_EQ(kept(arm, 40), kept(dynamic_cast<ReducingArm&>(*fresh), 40));
}

TEST_F(Reducing, DownsampleKeepsEveryNthChunk) {
  const LongContext context{.text = "aabbccddeeffgg", .budget = 6};
  EXPECT_EQ(kept_by("downsample", {{"chunk_tokens", 2}}, context), "[aa][dd][gg]");
  EXPECT_EQ(kept_by("downsample", {{"chunk_tokens", 2}, {"every", 4}}, context), "[aa][ee]");
  EXPECT_EQ(kept_by("downsample", {{"chunk_tokens", 2}, {"every", 2}}, context), "[aa][cc][ee]");
}

TEST_F(Reducing, DownsampleBySentenceKeepsThoseThatSuitTheQuestion) {
  const LongContext context{
      .text = "A cat sat. Rain fell! The cat ran. Who? A dog.", .question = "cat", .budget = 24};
  EXPECT_EQ(kept_by("downsample", {{"by", "sentence"}}, context), "[A cat sat.][ The cat ran.]");
}

TEST_F(Reducing, OracleReadsTheEvidenceAloneAndNoContextNothing) {
  const Item item = byte_item(90);  // bytes 30 to 60
  const Answer oracle = answer_by(*make_arm("oracle"), subject_, item);
  EXPECT_EQ(oracle.recall, 1.0);
  EXPECT_EQ(oracle.tokens_read,
            1 + std::ssize("Read this:\n") - 1 + 30 + std::ssize("\nWhat?") - 1);
  const Answer none = answer_by(*make_arm("no_context"), subject_, item);
  EXPECT_EQ(none.recall, 0.0);
  EXPECT_EQ(none.tokens_read, oracle.tokens_read - 30);
  Item alone = item;
  alone.passage.context = item.passage.context.substr(30, 30);
  EXPECT_EQ(oracle.nll, answer_by(*make_arm("full"), subject_, alone).nll);
}

TEST_F(Reducing, OracleTakesTheLinesOfTheAnswerWhereNoEvidenceIsNamed) {
  Item item;
  item.passage = {"", "one: first\ntwo: second\nthree: third\n"};
  item.question = {.text = "two?", .answers = {"second", "third"}, .max_new_tokens = 2};
  EXPECT_EQ(answer_by(*make_arm("oracle"), subject_, item).tokens_read, 1 + 11 + 12 + 4);
  item.question.answers = {"fourth"};
  EXPECT_THAT(error_of([&] { answer_by(*make_arm("oracle"), subject_, item); }, ExitCode::kData),
              HasSubstr("where the answer to 'two?' stands"));
}

TEST_F(Reducing, OracleReadsWhatItMayOfLongEvidence) {
  const LongContext context{.text = std::string(300, 'a'), .evidence = {{0, 300}}, .budget = 200};
  EXPECT_EQ(kept_by("oracle", {}, context).size(), 3 * (64 + std::string("[]").size()));
}

TEST_F(Reducing, TheTokenBeforeTheFirstTargetStays) {
  const std::string text = some_text(100, 3);
  const auto head = arm_with("truncate", {{"keep", "head"}, {"budget_tokens", 20}});
  const std::string read = text.substr(0, 20 - 1 - 9) + text.substr(91);
  EXPECT_EQ(head->target_nll(subject_, byte_ids("\1" + text), 8),
            make_arm("full")->target_nll(subject_, byte_ids("\1" + read), 8));
}

TEST(RecallOf, CountsEvidenceThatIsKeptWhole) {
  LongContext context{.text = "abcdefghij", .evidence = {{1, 3}, {5, 9}}};
  context.ids.resize(5);  // two letters a token
  context.byte_ends = {2, 4, 6, 8, 10};
  EXPECT_EQ(recall_of(context, {{0, 5}}), 1.0);
  EXPECT_EQ(recall_of(context, {{0, 2}, {3, 5}}), 0.5);
  EXPECT_EQ(recall_of(context, {{0, 2}, {2, 4}}), 0.5);
  EXPECT_EQ(recall_of(context, {{1, 2}}), 0.0);
  context.evidence.clear();
  EXPECT_EQ(recall_of(context, {}), std::nullopt);
}

TEST(SentenceSpans, AreAllOfTheText) {
  const std::string text = "It cost 3.5 $. Who? I\nsaid so! Yes";
  std::vector<std::string> sentences;
  for (const auto& [begin, end] : sentence_spans(text)) {
    sentences.push_back(text.substr(begin, end - begin));
  }
  EXPECT_THAT(sentences, ElementsAre("It cost 3.5 $.", " Who?", " I\n", "said so!", " Yes"));
  EXPECT_TRUE(sentence_spans("").empty());
}

}  // namespace
}  // namespace longspan
