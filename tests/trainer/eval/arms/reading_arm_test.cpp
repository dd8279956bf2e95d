#include "trainer/eval/arms/reading_arm.h"

#include <gmock/gmock.h>

#include "src/model/context_length.h"
#include "tests/support/errors.h"
#include "tests/trainer/eval/arms/arm_fixtures.h"
#include "trainer/eval/arms/item_tokens.h"
#include "trainer/eval/eval_run.h"
#include "trainer/eval/statistics.h"
#include "trainer/plan/training_flops.h"
#include "trainer/stage.h"

namespace longspan {
namespace {

using ::testing::HasSubstr;

class ReadingArms : public ::testing::Test {
 protected:
  Answer answer(const std::string& arm, const Json& keys = Json::object()) {
    return answer_by(*arm_with(arm, keys), subject_, item_);
  }
  std::vector<double> losses(const std::string& arm, const Json& keys = Json::object()) {
    const auto ids = tokenizer_.encode(some_text(150));
    return arm_with(arm, keys)->target_nll(subject_, {ids.begin(), ids.end()}, 8);
  }
  /// Whether the arm answers and scores as the arm full does, within a part of the loss.
  void expect_full(const std::string& arm, const Json& keys, double part = 0) {
    const Answer full = answer("full"), by_arm = answer(arm, keys);
    const double bound = part * full.nll + loss_bound(*model_, full.nll);
    EXPECT_NEAR(by_arm.nll, full.nll, bound) << arm;
    EXPECT_EQ(by_arm.text.substr(0, 1), full.text.substr(0, 1)) << arm;
    const auto a = losses(arm, keys), b = losses("full");
    for (size_t i = 0; i < b.size(); ++i) EXPECT_NEAR(a[i], b[i], part * b[i] + bound) << arm;
  }
  void expect_other_than_full(const std::string& arm, const Json& keys) {
    EXPECT_GT(std::abs(answer(arm, keys).nll - answer("full").nll), 1e-3) << arm;
    EXPECT_NE(losses(arm, keys), losses("full")) << arm;
  }

  std::unique_ptr<CausalLm> model_ = byte_model();  // of 64 tokens
  ByteTokenizer tokenizer_;
  EvalSubject subject_{*model_, tokenizer_, {}};
  Item item_ = byte_item(150);
};

TEST_F(ReadingArms, AWindowAsLongAsTheTextIsFullAttention) {
  expect_full("sliding_window", {{"window", 400}, {"sinks", 0}});
  expect_other_than_full("sliding_window", {{"window", 40}, {"sinks", 2}});
  expect_full("shifted_sparse", {{"group_size", 800}});
  expect_other_than_full("shifted_sparse", {{"group_size", 40}});
  expect_full("shifted_sparse", {{"group_size", 40}, {"layers", Json::array()}});
  expect_other_than_full("shifted_sparse", {{"group_size", 40}, {"layers", {1}}});
  Json memory = {{"mem_layers", {1}}, {"window", 400}, {"last_context_length", 400}};
  expect_full("focused_memory", memory);
  memory["window"] = memory["last_context_length"] = 40;
  expect_other_than_full("focused_memory", memory);
}

/// shifted_sparse keeps nothing between passes: what it would say is known up to the first token
/// that is not the answer's.
TEST_F(ReadingArms, WithoutACacheTheTextEndsWhereItIsWrong) {
  const std::string told = answer("full").text;
  EXPECT_EQ(answer("shifted_sparse", {{"group_size", 800}}).text, told.substr(0, 1));
  item_.question.answers = {told.substr(0, 3)};
  item_.question.answer_prefix = "";
  item_.question.distractors = {"zz"};
  const Answer full = answer("full"), whole = answer("shifted_sparse", {{"group_size", 800}});
  EXPECT_EQ(whole.text, told.substr(0, 3));
  EXPECT_EQ(whole.token_accuracy, 1);
  EXPECT_EQ(whole.rank, full.rank);
}

/// The groups of shifted_sparse are a quarter of passage, question and answer, whichever answer it
/// is; of what sliding_window has read it keeps the last 9 tokens and 2 sinks.
TEST_F(ReadingArms, ScoreAnAnswerAsOnePassOverAllDoes) {
  const Json window = {{"window", 10}, {"sinks", 2}};
  const Json in_text = {{"window", 10}, {"sinks", 2}, {"positions", "text"}};
  const std::pair<const char*, Json> arms[] = {
      {"shifted_sparse", Json::object()}, {"sliding_window", window}, {"sliding_window", in_text}};
  const double full = answer("full").nll;
  for (const auto& [name, keys] : arms) {
    const auto arm = arm_with(name, keys);
    const auto in_one_pass = [&](const std::string& text) {
      Item item = item_;
      item.question.answers = {text};
      const ItemTokens tokens = tokenize_item(tokenizer_, {}, item.passage, item.question);
      std::vector<int64_t> ids = tokens.prompt;
      ids.insert(ids.end(), tokens.answer.begin(), tokens.answer.end());
      return mean(arm->target_nll(subject_, ids, std::ssize(tokens.answer)));
    };
    const double right = in_one_pass("answer");
    item_.question.distractors = {"others", "x", "zebras", "longer than it", "number"};
    int64_t rank = 1;
    for (const auto& wrong : item_.question.distractors) rank += in_one_pass(wrong) < right ? 1 : 0;
    const Answer by_arm = answer(name, keys);
    EXPECT_NEAR(by_arm.nll, right, loss_bound(*model_, right)) << name << keys;
    EXPECT_EQ(by_arm.rank, rank) << name << keys;
    EXPECT_GT(std::abs(right - full), 1e-3) << name << keys;
  }
  EXPECT_GT(std::abs(answer("sliding_window", window).nll - answer("sliding_window", in_text).nll),
            1e-3);
}

TEST_F(ReadingArms, ACacheOfEightBitsIsNearAndOneOfFourFurther) {
  expect_full("kv_cache", {{"bits", 8}}, 0.01);
  expect_other_than_full("kv_cache", {{"bits", 4}});
  const double full = answer("full").nll;
  EXPECT_GT(std::abs(answer("kv_cache", {{"bits", 4}}).nll - full),
            std::abs(answer("kv_cache", {{"bits", 8}}).nll - full));
  EXPECT_THAT(error_of(
                  [] {
                    arm_with("kv_cache", {{"bits", 6}});
                  },
                  ExitCode::kUsage),
              HasSubstr("expected 8 or 4"));
}

/// The arm reads as a model does that was opened with the scaling.
TEST_F(ReadingArms, RopeIsTheModelStretched) {
  const Json yarn = {{"rope_type", "yarn"}, {"factor", 4.0}};
  const double by_map = answer("rope", {{"scaling", yarn}}).nll;
  const double by_name = answer("yarn", {{"factor", 4.0}}).nll;
  EXPECT_EQ(by_map, by_name);
  EXPECT_NE(by_map, answer("full").nll);
  Diagnostics diagnostics;
  apply_rope(extend_rope(model_->config(), read_rope_scaling(Fields(yarn, diagnostics))), *model_);
  EXPECT_EQ(answer("full").nll, by_map);
  // On a scaled model the factor counts from the original length, unless it is told to compose.
  EXPECT_EQ(answer("yarn", {{"factor", 4.0}}).nll, by_map);
  EXPECT_NE(answer("yarn", {{"factor", 2.0}}).nll, by_map);
}

TEST_F(ReadingArms, WithoutAFactorRopeIsStretchedAsFarAsTheLengthNeeds) {
  for (const char* name : {"linear", "ntk", "yarn"}) {
    auto arm = make_arm(name);
    const auto nll = [&](Arm& by, int64_t length) {
      return by.read_passage(subject_, item_.passage, length)->ask(item_.question).nll;
    };
    EXPECT_EQ(nll(*arm, 200), nll(*arm_with(name, {{"factor", 4}}), 200)) << name;  // of 64 tokens
    EXPECT_EQ(nll(*arm, 64), nll(*make_arm("full"), 64)) << name;
    EXPECT_NE(nll(*arm, 200), nll(*make_arm("full"), 200)) << name;
  }
  EXPECT_NE(answer("linear", {{"factor", 4}}).nll, answer("ntk", {{"factor", 4}}).nll);
}

std::string check_of(const NamedArm& arm, const EvalSubject& subject) {
  return error_of([&] { check_arms({arm}, subject); }, ExitCode::kUsage);
}

TEST_F(ReadingArms, SayWhatTheyLackBeforeAnythingIsRead) {
  EXPECT_THAT(check_of({"rope", make_arm("rope")}, subject_), HasSubstr("has no scaling"));
  EXPECT_THAT(check_of({"small", make_arm("smaller_model")}, subject_),
              HasSubstr("--model-of-arm small=MODEL"));
  EXPECT_EQ(check_of({"small", make_arm("smaller_model"), model_.get()}, subject_), "no error");
  EXPECT_THAT(check_of({"s2", arm_with("shifted_sparse", {{"layers", {2}}})}, subject_),
              HasSubstr("shifted_sparse: layers has 2, and the model's layers are 0 to 1"));
  EXPECT_THAT(check_of({"s2", arm_with("shifted_sparse", {{"full_heads", 10}})}, subject_),
              HasSubstr("shifted_sparse: full_heads is 10, and the model has 9 query heads"));
  for (const auto& name : {"full", "yarn", "kv_cache", "block_memory", "retrieval"}) {
    EXPECT_EQ(check_of({name, make_arm(name)}, subject_), "no error");
  }
}

TEST_F(ReadingArms, SmallerModelIsTheOtherModel) {
  ModelConfig config = tiny_llama_config();
  config.vocab_size = 256;
  auto other = random_model(config, /*seed=*/2);
  const NamedArm named{"small", make_arm("smaller_model"), other.get()};
  const EvalSubject reader = named.subject(subject_);
  EXPECT_EQ(answer_by(*named.arm, reader, item_).nll,
            answer_by(*make_arm("full"), {*other, tokenizer_, {}}, item_).nll);
  EXPECT_NE(answer_by(*named.arm, reader, item_).nll, answer("full").nll);
}

TEST_F(ReadingArms, CostByFormulaIsThatOfWhatIsRead) {
  const auto flops = [&](const std::string& arm, const Json& keys, int64_t length) {
    const auto made = arm_with(arm, keys);
    return made->flops(*model_, length, made->tokens_to_read(*model_, length));
  };
  const auto bytes = [&](const std::string& arm, const Json& keys, int64_t length) {
    const auto made = arm_with(arm, keys);
    return made->kv_bytes(*model_, made->tokens_to_read(*model_, length));
  };
  const Json none = Json::object();
  const ModelConfig& config = model_->config();
  const double head = 2.0 * 256 * 36;
  EXPECT_DOUBLE_EQ(flops("full", none, 100),
                   forward_flops(config, *make_attention_pattern("full"), 100, 1) - 99 * head);
  EXPECT_EQ(flops("truncate", {{"budget_tokens", 50}}, 100), flops("full", none, 50));
  EXPECT_EQ(flops("truncate", {{"budget_tokens", 50}}, 40), flops("full", none, 40));
  EXPECT_EQ(flops("sliding_window", {{"window", 100}}, 100), flops("full", none, 100));
  EXPECT_LT(flops("sliding_window", {{"window", 10}}, 100), flops("full", none, 100));
  const Json embedding = {{"method", "embedding"}, {"chunk_tokens", 25}, {"budget_tokens", 50}};
  EXPECT_DOUBLE_EQ(flops("retrieval", embedding, 100),
                   flops("full", none, 50) + 4 * flops("full", none, 25));
  // 2 layers, keys and values, 3 heads of 8 numbers of 4 bytes.
  EXPECT_EQ(bytes("full", none, 100), 2 * 2 * 3 * 8 * 4 * 100);
  EXPECT_EQ(bytes("truncate", {{"budget_tokens", 50}}, 100), 2 * 2 * 3 * 8 * 4 * 50);
  EXPECT_EQ(bytes("kv_cache", {{"bits", 4}}, 100), 2 * 2 * 3 * 8 * 100 * 4.5 / 8);
  EXPECT_EQ(bytes("shifted_sparse", none, 100), 0);
  // Windows of 64, 4 and the last 32, which is open; keys of two kinds of it in the memory layer,
  // and 2 bytes a number of memory.
  const Json memory = {{"mem_layers", {1}}, {"window", 64}, {"last_context_length", 32}};
  EXPECT_EQ(bytes("focused_memory", memory, 100), 3 * 32 * 2 * 3 * 8 * 4 + 68 * 2 * 3 * 8 * 2);
  const double own = 64 * 65 / 2 + 4 * 5 / 2 + 32 * 33 / 2, all = 100 * 101 / 2;
  EXPECT_DOUBLE_EQ(flops("full", none, 100) - flops("focused_memory", memory, 100),
                   4 * 8 * 9 * (all - own));
  // What a token after them sees: two sinks and nine tokens.
  const Json window = {{"window", 10}, {"sinks", 2}};
  EXPECT_EQ(bytes("sliding_window", window, 100), 2 * 2 * 3 * 8 * 4 * 11);
  EXPECT_EQ(bytes("sliding_window", window, 8), bytes("full", none, 8));
}

/// As WholeLengthReading reads it, which has no state that questions could share.
TEST(PatternArm, SharesAPassageWhereItKeepsOne) {
  EXPECT_TRUE(make_arm("sliding_window")->shares_passages());
  EXPECT_TRUE(make_arm("focused_memory")->shares_passages());
  EXPECT_FALSE(make_arm("shifted_sparse")->shares_passages());
}

TEST(NoContextArm, ReadsTheTargetsAndWhatStandsBeforeThem) {
  const auto model = byte_model();
  EXPECT_EQ(make_arm("no_context")->tokens_of_text(*model, 4096, 512), 513);
  EXPECT_EQ(make_arm("full")->tokens_of_text(*model, 4096, 512), 4096);
}

}  // namespace
}  // namespace longspan
