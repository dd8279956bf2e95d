#include <ATen/core/grad_mode.h>
#include <ATen/ops/equal.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdio>

#include "checkpoints/adapters/peft_adapter.h"
#include "src/core/error.h"
#include "src/core/stop_signal.h"
#include "src/core/text.h"
#include "tests/support/errors.h"
#include "tests/trainer/trainer_run.h"
#include "trainer/observers/metrics.h"
#include "trainer/observers/stop_on_signal.h"

// What a run leaves on disk, and how another goes on from it.

namespace longspan {
namespace {

TEST_F(TrainerRun, ResumedGivesTheSameBitsAsUnbroken) {
  for (auto dtype : {at::kFloat, at::kBFloat16}) {
    for (int64_t broken_after : {2, 3, 5}) {
      records_.clear();
      fs::remove_all(folder_ / "checkpoints");
      auto whole = model(dtype);
      trainer(*whole, two_stages())->run();
      auto expected = losses(records_);

      records_.clear();
      auto before = model(dtype), after = model(dtype);
      auto first = trainer(*before, two_stages());
      first->add(checkpointing({})).add(std::make_unique<StopAfter>(broken_after)).run();
      auto second = trainer(*after, two_stages());
      second->resume(read_train_state(*CheckpointStore(folder_ / "checkpoints").newest()));
      second->run();
      EXPECT_EQ(losses(records_), expected) << dtype << " " << broken_after;
      EXPECT_EQ(records_.back().total_tokens, 384 + 3 * 96);
    }
  }
}

TEST_F(TrainerRun, ResumedDropsWhatAnUnbrokenRunDrops) {
  lora_.lora_dropout = 0.3;
  auto whole = model(), before = model(), after = model();
  trainer(*whole, two_stages())->run();
  const auto expected = losses(records_);
  records_.clear();
  trainer(*before, two_stages())->add(checkpointing({})).add(std::make_unique<StopAfter>(4)).run();
  auto second = trainer(*after, two_stages());
  second->resume(read_train_state(*CheckpointStore(folder_ / "checkpoints").newest()));
  second->run();
  EXPECT_EQ(losses(records_), expected);
}

TEST_F(TrainerRun, ANonFiniteLossSavesTheWeightsBeforeIt) {
  class Break : public Observer {
    void step_ended(Trainer& trainer, StepRecord& record) override {
      if (record.step < 2) return;
      trainer.model().visit_parameters("", [](const std::string& name, at::Tensor& parameter) {
        if (name == "model.layers.1.mlp.up_proj.weight") parameter.fill_(std::nan(""));
      });
    }
  };
  auto tiny = model();
  auto run = trainer(*tiny, one_stage(5));
  run->add(checkpointing({})).add(std::make_unique<Break>());
  EXPECT_THROW(run->run(), Error);
  EXPECT_THAT(CheckpointStore(folder_ / "checkpoints").steps(), testing::ElementsAre(2));
}

TEST_F(TrainerRun, GoingOnFromAnOlderCheckpointSetsTheLaterOnesAside) {
  auto first = model(), second = model();
  trainer(*first, one_stage(4))->add(checkpointing({.every_steps = 1, .keep_last = 3})).run();
  const CheckpointStore store(folder_ / "checkpoints");
  auto again = trainer(*second, one_stage(4));
  again->resume(read_train_state(store.place(2)));
  again->add(checkpointing({.keep_last = 1})).add(std::make_unique<StopAfter>(1)).run();
  EXPECT_THAT(store.steps(), testing::ElementsAre(3));
  EXPECT_TRUE(fs::exists(folder_ / "checkpoints" / "step-000004.old"));
}

TEST_F(TrainerRun, SavesBySteps) {
  auto tiny = model();
  trainer(*tiny, one_stage(7))->add(checkpointing({.every_steps = 2, .keep_last = 3})).run();
  EXPECT_THAT(CheckpointStore(folder_ / "checkpoints").steps(), testing::ElementsAre(4, 6, 7));
}

TEST_F(TrainerRun, SavesByMinutes) {
  const auto saved = [&](double minutes) {
    fs::remove_all(folder_ / "checkpoints");
    auto tiny = model();
    auto run = trainer(*tiny, one_stage(3));
    run->add(checkpointing({.every_steps = 0, .every_minutes = minutes, .keep_last = 9})).run();
    return CheckpointStore(folder_ / "checkpoints").steps();
  };
  EXPECT_THAT(saved(1e-9), testing::ElementsAre(1, 2, 3));
  EXPECT_THAT(saved(1e9), testing::ElementsAre(3));
  EXPECT_THAT(saved(0), testing::ElementsAre(3));
}

TEST_F(TrainerRun, SavesTheAdapterFromTheMastersAndTheExtendedConfig) {
  auto tiny = model(at::kBFloat16);
  auto run = trainer(*tiny, two_stages());
  run->add(checkpointing({})).run();
  PeftAdapter adapter = read_peft_adapter(*CheckpointStore(folder_ / "checkpoints").newest());
  EXPECT_EQ(adapter.lora.r, 4);
  EXPECT_EQ(adapter.base_model_name_or_path, "base");
  EXPECT_EQ(adapter.config_json["max_position_embeddings"], 128);
  for (const auto& weight : run->optimizer().weights()) {
    ASSERT_TRUE(adapter.tensors.contains(weight.name)) << weight.name;
    EXPECT_TRUE(at::equal(adapter.tensors[weight.name], weight.master)) << weight.name;
  }
}

/// Makes the weights NaN from the end of `step` on.
class SpoilFrom : public Observer {
 public:
  explicit SpoilFrom(int64_t step) : step_(step) {}
  void step_ended(Trainer& trainer, StepRecord& record) override {
    if (record.step < step_) return;
    at::NoGradGuard no_gradients;
    trainer.model().visit_linears(
        [](const std::string&, std::unique_ptr<Linear>& linear) { linear->weight.fill_(NAN); });
  }

 private:
  int64_t step_;
};

TEST_F(TrainerRun, AStageThatFailsAtOnceLeavesTheStateOfTheOneBefore) {
  auto tiny = model();
  auto run = trainer(*tiny, two_stages());
  run->add(checkpointing({})).add(std::make_unique<SpoilFrom>(3));
  EXPECT_THROW(run->run(), Error);
  const auto newest = *CheckpointStore(folder_ / "checkpoints").newest();
  EXPECT_EQ(newest.filename(), "step-000003");
  const Json config = read_peft_adapter(newest).config_json;
  EXPECT_EQ(config["max_position_embeddings"], 64);
  EXPECT_EQ(config["rope_parameters"]["rope_type"], "default");
}

TEST_F(TrainerRun, ANonFiniteLaterStepOfAStageLeavesTheStateOfThatStage) {
  auto tiny = model();
  auto run = trainer(*tiny, two_stages());
  run->add(checkpointing({})).add(std::make_unique<SpoilFrom>(4));
  EXPECT_THROW(run->run(), Error);
  const auto newest = *CheckpointStore(folder_ / "checkpoints").newest();
  EXPECT_EQ(newest.filename(), "step-000004");
  const Json config = read_peft_adapter(newest).config_json;
  EXPECT_EQ(config["max_position_embeddings"], 128);
  EXPECT_EQ(config["rope_parameters"]["rope_type"], "yarn");
}

// In a document of 97 tokens the first 65 are learned: two rows of 32 tokens, and a third of none.
TEST_F(TrainerRun, RowsWithoutALabelLoseNothingOfTheStepsBefore) {
  TokenStoreWriter writer(folder_ / "labels.h5", "tiny", 61);
  std::vector<uint8_t> is_label(97);
  std::fill_n(is_label.begin(), 65, 1);
  writer.append("half learned", std::vector<int32_t>(97, 7), is_label);
  writer.commit();
  store_ = std::make_shared<const TokenStore>(folder_ / "labels.h5");
  auto tiny = model();
  Trainer run(*tiny, one_stage(3), {loader(32, /*shuffle=*/false)}, options_);
  run.add(checkpointing({}));
  EXPECT_THAT(error_of([&] { run.run(); }, ExitCode::kData),
              testing::HasSubstr("rows 2 to 2 (3 an epoch) have no token that is a label"));
  EXPECT_THAT(CheckpointStore(folder_ / "checkpoints").steps(), testing::ElementsAre(2));
}

TEST_F(TrainerRun, MetricsHaveOneLineAStepAlsoAfterAKill) {
  const fs::path file = folder_ / "metrics.jsonl";
  auto first = model(), second = model();
  trainer(*first, one_stage(4))
      ->add(std::make_unique<Metrics>(file))
      .add(checkpointing({.every_steps = 2}))
      .add(std::make_unique<StopAfter>(2))
      .run();
  FILE* torn = fopen(file.c_str(), "a");  // what a kill during step 4 leaves
  fputs("{\"step\":3,\"loss\":1}\n{\"step\":4,\"lo", torn);
  fclose(torn);
  auto resumed = trainer(*second, one_stage(4));
  resumed->resume(read_train_state(*CheckpointStore(folder_ / "checkpoints").newest()));
  resumed->add(std::make_unique<Metrics>(file)).run();

  std::vector<int64_t> steps;
  std::vector<double> losses_written;
  for (const auto& line : split(read_file(file, ExitCode::kFailure), '\n')) {
    if (line.empty()) continue;
    Json record = parse_json(line, "metrics.jsonl", ExitCode::kFailure);
    for (const char* key : {"lr", "grad_norm", "tokens", "step_seconds", "tokens_per_second",
                            "peak_memory_bytes", "seq_len", "attention", "stage"}) {
      EXPECT_TRUE(record.contains(key)) << key;
    }
    steps.push_back(record["step"]);
    losses_written.push_back(record["loss"]);
  }
  EXPECT_THAT(steps, testing::ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(losses_written, losses(records_));  // a double survives JSON bit for bit
}

TEST_F(TrainerRun, ASignalEndsTheRunAfterTheStepAndSaves) {
  class Interrupt : public Observer {
    void step_ended(Trainer&, StepRecord&) override { raise(SIGTERM); }
  };
  auto tiny = model();
  trainer(*tiny, one_stage(5))
      ->add(checkpointing({}))
      .add(std::make_unique<Interrupt>())
      .add(std::make_unique<StopOnSignal>())
      .run();
  EXPECT_EQ(stop_signal(), SIGTERM);
  EXPECT_EQ(records_.size(), 1u);
  EXPECT_THAT(CheckpointStore(folder_ / "checkpoints").steps(), testing::ElementsAre(1));
}

TEST_F(TrainerRun, ACheckpointBeyondTheRunIsRefused) {
  auto tiny = model();
  auto run = trainer(*tiny, one_stage(2));
  TrainState state = run->state();
  state.step = 3;
  EXPECT_THROW(run->resume(state), Error);
}

}  // namespace
}  // namespace longspan
