#include "trainer/eval/arms/focused_memory_arm.h"

#include <gmock/gmock.h>

#include <cmath>

#include "tests/support/errors.h"
#include "tests/trainer/eval/arms/arm_fixtures.h"
#include "trainer/eval/eval_run.h"
#include "trainer/eval/perplexity.h"
#include "trainer/eval/tasks/position_loss.h"

namespace longspan {
namespace {

using ::testing::HasSubstr;

class FocusedMemoryArms : public ::testing::Test {
 protected:
  double nll(const std::string& arm, const Json& keys = Json::object()) {
    return answer_by(*arm_with(arm, keys), subject_, item_).nll;
  }
  std::string check_of(const Json& keys) {
    const NamedArm arm{"far", arm_with("focused_memory", keys)};
    return error_of([&] { check_arms({arm}, subject_); }, ExitCode::kUsage);
  }
  /// Makes of the model one that has a memory of its own.
  void remember(std::vector<int64_t> mem_layers) {
    FocusedMemoryOptions options;
    options.mem_layers = std::move(mem_layers);
    options.lengths = {.window = 32, .last_context = 16};
    model_->set_attention(std::make_shared<FocusedMemoryAttention>(options));
  }

  std::unique_ptr<CausalLm> model_ = byte_model();
  ByteTokenizer tokenizer_;
  TemporaryFolder folder_;
  EvalSubject subject_{*model_, tokenizer_, {}};
  Item item_ = byte_item(150);
};

TEST_F(FocusedMemoryArms, APlainModelRemembersInTheLayersNamed) {
  Json keys = {{"mem_layers", {0}}, {"window", 32}, {"last_context_length", 16}};
  const double by_arm = nll("focused_memory", keys);
  keys["mem_layers"] = Json::array();
  EXPECT_NE(nll("focused_memory", keys), by_arm);
  remember({0});
  EXPECT_EQ(nll("full"), by_arm);
}

TEST_F(FocusedMemoryArms, OfAModelWithMemoryWhatIsNotSaidIsItsOwn) {
  remember({0});
  const double own = nll("full");
  EXPECT_EQ(nll("focused_memory"), own);
  EXPECT_EQ(nll("focused_memory", {{"mem_layers", {0}}}), own);
  const Json search = {{"search_pages", 1}, {"search_page_tokens", 4}};
  Json all = {{"mem_layers", {0}}, {"window", 32}, {"last_context_length", 16}};
  all.update(search);
  const double by_search = nll("focused_memory", search);
  EXPECT_NE(by_search, own);
  EXPECT_EQ(nll("focused_memory", {{"mem_layers", Json::array()}}),
            nll("focused_memory",
                {{"mem_layers", Json::array()}, {"window", 32}, {"last_context_length", 16}}));
  model_ = byte_model();
  EvalSubject plain{*model_, tokenizer_, {}};
  EXPECT_EQ(answer_by(*arm_with("focused_memory", all), plain, item_).nll, by_search);
}

TEST_F(FocusedMemoryArms, AModelsSearchIsUndone) {
  remember({0});
  const double all = nll("full");
  FocusedMemoryOptions options =
      dynamic_cast<const FocusedMemoryAttention&>(model_->attention()).options();
  options.search_pages = 1;
  options.search_page_tokens = 4;
  model_->set_attention(std::make_shared<FocusedMemoryAttention>(options));
  EXPECT_NE(nll("focused_memory"), all);
  EXPECT_EQ(nll("focused_memory", {{"search_pages", 0}}), all);
  // By which a journal tells the two apart.
  const auto settings = [&](const Json& keys) {
    return arm_with("focused_memory", keys)->settings(model_->config());
  };
  EXPECT_NE(settings({{"search_pages", 0}}), settings(Json::object()));
}

TEST_F(FocusedMemoryArms, StatesTheKeysInEffect) {
  remember({0});
  const auto arm = arm_with("focused_memory", {{"last_context_length", 8}});
  const Json settings = arm->settings(model_->config());
  EXPECT_EQ(settings["mem_layers"], Json({0}));
  EXPECT_EQ(settings["window"], 32);
  EXPECT_EQ(settings["last_context_length"], 8);
}

/// Half of it, as everywhere; the model's own 16 would not fit.
TEST_F(FocusedMemoryArms, AnotherWindowHasALastContextOfItsOwn) {
  remember({0});
  EXPECT_EQ(nll("focused_memory", {{"window", 8}}),
            nll("focused_memory", {{"window", 8}, {"last_context_length", 4}}));
}

/// What a task of losses finds is what the arm that searches loses of a text, and not what one that
/// sees all of it does.
TEST_F(FocusedMemoryArms, TasksOfLossesSearchAsAnswersDo) {
  remember({0});
  const Json text = Json::array({folder_.write("a.txt", some_text(150))});
  const auto nll_of = [&](const EvalTask& task, const Json& keys) {
    const EvalSubject reader{*model_, tokenizer_, {}, arm_with("focused_memory", keys)};
    return task.run(reader, {{64, 150}}).rows.back()["nll"].get<double>();
  };
  const auto perplexity = task_with<Perplexity>({{"text", text}, {"targets", 8}});
  const auto position_loss = task_with<PositionLoss>({{"text", text}});
  for (const EvalTask* task : std::initializer_list<const EvalTask*>{&perplexity, &position_loss}) {
    const auto by_pages = [&](int64_t pages) {
      return nll_of(*task, {{"search_pages", pages}, {"search_page_tokens", 4}});
    };
    const double whole = nll_of(*task, Json::object()), bound = loss_bound(*model_, whole);
    EXPECT_EQ(by_pages(1000), whole) << task->name();
    EXPECT_GT(std::abs(by_pages(1) - whole), bound) << task->name();
    EXPECT_NE(by_pages(2), by_pages(1)) << task->name();
  }
}

TEST_F(FocusedMemoryArms, SaysWhatDoesNotSuitTheModel) {
  EXPECT_THAT(check_of(Json::object()),
              HasSubstr("has no memory of its own; name layers of 0 to 1"));
  EXPECT_THAT(check_of({{"mem_layers", {0, 2}}}),
              HasSubstr("mem_layers has 2, and the model's layers are 0 to 1"));
  EXPECT_EQ(check_of({{"mem_layers", Json::array()}}), "no error");
  remember({1});
  EXPECT_EQ(check_of(Json::object()), "no error");
  EXPECT_THAT(check_of({{"last_context_length", 64}}), HasSubstr("64 do not fit a window of 32"));
}

}  // namespace
}  // namespace longspan
