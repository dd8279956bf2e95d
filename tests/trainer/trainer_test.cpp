#include "trainer/trainer.h"

#include <ATen/ops/equal.h>
#include <gmock/gmock.h>

#include <cmath>

#include "src/core/fields_writer.h"
#include "src/nn/device.h"
#include "tests/support/devices.h"
#include "tests/support/errors.h"
#include "tests/support/float32_bound.h"
#include "tests/support/products.h"
#include "tests/trainer/logit_losses.h"
#include "tests/trainer/trainer_run.h"
#include "trainer/loss.h"
#include "trainer/observers/validation.h"

namespace longspan {
namespace {

TEST_F(TrainerRun, LowersTheLoss) {
  auto tiny = model();
  trainer(*tiny, one_stage(30, 4))->run();
  EXPECT_LT(records_.back().loss, 0.8 * records_.front().loss);
}

TEST_F(TrainerRun, WeighsTokensByTheirContextAndReportsThePlainLoss) {
  trainer(*model(), one_stage(4, 2))->run();
  const auto plain = losses(records_);
  EXPECT_FALSE(records_[0].weighted_loss);
  records_.clear();
  options_.loss = {.weights = "effective_context", .alpha = 0, .gamma = 0.5, .tail = 8};
  trainer(*model(), one_stage(4, 2))->run();
  EXPECT_EQ(losses(records_), plain);  // alpha 0: all weigh 1
  records_.clear();
  options_.loss.alpha = 3;
  trainer(*model(), one_stage(4, 2))->run();
  EXPECT_EQ(records_[0].loss, plain[0]);  // before the first update
  EXPECT_GT(*records_[0].weighted_loss, 2 * plain[0]);
  EXPECT_NE(records_[1].loss, plain[1]);
}

TEST_F(TrainerRun, WeighsTokensByWhatFarContextTellsOfThemAndReportsThePlainLoss) {
  trainer(*model(), one_stage(3, 2))->run();
  const auto plain = losses(records_);
  records_.clear();
  const ShortContext context{.tokens = 6, .step = 2};
  options_.loss = {.weights = "long_minus_short", .short_context = context, .max_weight = 2};
  trainer(*model(), one_stage(3, 2))->run();
  EXPECT_EQ(records_[0].loss, plain[0]);  // before the first update
  EXPECT_NE(records_[1].loss, plain[1]);
  // From the definition, in float64, of the first step's rows.
  auto tiny = model();
  const Batch batch = loader(32)->batch(0, 2);
  const at::Tensor long_losses = logit_losses(*tiny, batch);
  const at::Tensor short_losses = short_context_losses(*tiny, batch, context, 16).to(at::kDouble);
  const at::Tensor weights = (short_losses - long_losses).exp().clamp_max(2).nan_to_num(1.0);
  EXPECT_GT((weights != 1).sum().item<int64_t>(), 20);
  EXPECT_NEAR(*records_[0].weighted_loss,
              ((long_losses * weights).sum() / batch.labelled_tokens).item<double>(), 1e-6);
}

TEST_F(TrainerRun, NamesTheRowsOfAStepWithoutALabel) {
  {
    TokenStoreWriter writer(folder_ / "unlabelled.h5", "tiny", 61);
    writer.append("context", std::vector<int32_t>(33, 5), std::vector<uint8_t>(33, 0));
    writer.commit();
  }
  store_ = std::make_shared<const TokenStore>(folder_ / "unlabelled.h5");
  auto tiny = model();
  EXPECT_THAT(error_of([&] { trainer(*tiny, one_stage(1, 2))->run(); }, ExitCode::kData),
              testing::HasSubstr("unlabelled.h5: rows 0 to 1 (1 an epoch) have no token"));
}

TEST_F(TrainerRun, RecordsWhatHappened) {
  auto tiny = model();
  trainer(*tiny, two_stages())->run();
  ASSERT_EQ(records_.size(), 6u);
  EXPECT_EQ(records_[2].attention, "shifted_sparse");
  EXPECT_EQ(records_[2].tokens, 128);
  EXPECT_EQ(records_[2].total_tokens, 384);
  EXPECT_EQ(records_[3].stage, 1u);
  EXPECT_EQ(records_[3].seq_len, 96);
  EXPECT_EQ(records_[5].total_tokens, 384 + 3 * 96);
  EXPECT_DOUBLE_EQ(records_[0].lr, 1e-2);
  EXPECT_GT(records_[5].peak_memory_bytes, 0);
  EXPECT_EQ(tiny->config().max_position_embeddings, 128);
}

TEST_F(TrainerRun, MixedWindowsReadShortRowsWithTheRopeOfTheBase) {
  Json keys = {{"rope_type", "longrope"}, {"factor", 2}, {"attention_factor", 1}};
  keys["original_max_position_embeddings"] = 64;
  keys["short_factor"] = std::vector<double>(4, 1.0);
  keys["long_factor"] = {1, 1.5, 2, 2};
  Diagnostics diagnostics;
  auto stages = two_stages();
  for (Stage& stage : stages) stage.rope = read_rope_scaling(Fields(keys, diagnostics));
  stages[0].attention = stages[1].attention;
  options_.interleave = true;
  auto tiny = model();
  trainer(*tiny, stages)->run();
  std::vector<size_t> order;
  for (const auto& record : records_) order.push_back(record.stage);
  EXPECT_EQ(order, (std::vector<size_t>{0, 1, 0, 1, 0, 1}));
  EXPECT_EQ(tiny->config().rope_scaling->rope_type(), "longrope");
  EXPECT_EQ(tiny->config().max_position_embeddings, 128);
  // The first step's rows of 32 tokens, and the second's of 96, in a model that nothing trained.
  const auto mean_loss = [&](int64_t seq_len, int64_t row, int64_t rows, bool scaled) {
    auto untrained = model();
    if (scaled) apply_rope(extend_rope(untrained->config(), stages[0].rope), *untrained);
    const Batch batch = loader(seq_len)->batch(row, rows);
    return logit_losses(*untrained, batch).sum().item<double>() /
           static_cast<double>(batch.labelled_tokens);
  };
  EXPECT_NEAR(records_[0].loss, mean_loss(32, 0, 4, false), 1e-6);
  EXPECT_NEAR(mean_loss(32, 0, 4, true), mean_loss(32, 0, 4, false), 1e-6);
  EXPECT_GT(std::abs(mean_loss(96, 4, 1, true) - mean_loss(96, 4, 1, false)), 1e-4);
}

TEST_F(TrainerRun, OnCudaLosesWhatTheCpuLoses) {
  if (auto reason = why_not_on_cuda(); !reason.empty()) GTEST_SKIP() << reason;
  const std::vector<MemoryOptions> ways{
      {.recompute = Recompute::kNone},
      {.recompute = Recompute::kSelective, .optimizer_state_bits = 8},
      {.recompute = Recompute::kLayer, .chunk_tokens = 8},
      {.recompute = Recompute::kSelective, .offload = Offload::kRam, .offload_ram = 1 << 20},
      {.recompute = Recompute::kSelectivePlusPlus,
       .offload = Offload::kRam,
       .offload_ram = 1 << 20}};
  for (auto [dtype, bound] : {std::pair{at::kFloat, 1e-4}, {at::kBFloat16, 3e-2}}) {
    for (const MemoryOptions& memory : ways) {
      SCOPED_TRACE(write_fields(memory).dump());
      options_.memory = memory;
      records_.clear();
      auto on_cpu = model(dtype), on_cuda = model(dtype);
      trainer(*on_cpu, two_stages())->run();
      move_to(*on_cuda, at::kCUDA);
      auto run = trainer(*on_cuda, two_stages());
      run->run();
      ASSERT_EQ(records_.size(), 12u);
      for (size_t step = 0; step < 6; ++step) {
        EXPECT_NEAR(records_[6 + step].loss, records_[step].loss, bound) << "step " << step;
        EXPECT_NEAR(records_[6 + step].grad_norm / records_[step].grad_norm, 1, 10 * bound);
      }
      EXPECT_GT(records_.back().peak_memory_bytes, 0);
      auto resumed = model(dtype);
      auto goes_on = trainer(*resumed, two_stages());
      goes_on->resume(run->state());
      const at::Tensor& there = run->optimizer().weights().front().master;
      EXPECT_TRUE(at::equal(goes_on->optimizer().weights().front().master, there.cpu()));
    }
  }
}

TEST_F(TrainerRun, OnCudaResumesToTheBitWithDeterministicKernels) {
  if (auto reason = why_not_on_cuda(); !reason.empty()) GTEST_SKIP() << reason;
  use_deterministic_kernels(at::kCUDA);
  const auto on_cuda = [&] {
    auto made = model(at::kBFloat16);
    move_to(*made, at::kCUDA);
    return made;
  };
  auto whole = on_cuda(), begun = on_cuda(), resumed = on_cuda();
  trainer(*whole, two_stages())->run();
  auto first = trainer(*begun, two_stages());
  first->add(std::make_unique<StopAfter>(2)).run();
  auto second = trainer(*resumed, two_stages());
  second->resume(first->state());
  second->run();
  at::globalContext().setDeterministicAlgorithms(false, false);
  const std::vector<double> all = losses(records_);
  ASSERT_EQ(all.size(), 12u);
  EXPECT_EQ(std::vector(all.begin() + 6, all.end()), std::vector(all.begin(), all.begin() + 6));
}

TEST_F(TrainerRun, AccumulationGivesWhatOneLargeBatchGives) {
  auto one = model(), two = model();
  trainer(*one, one_stage(1, 4, 1))->run();
  trainer(*two, one_stage(1, 2, 2))->run();
  EXPECT_NEAR(records_[0].loss, records_[1].loss,
              float32_bound(records_[0].loss, terms_of_loss(one->config(), 64)));
  EXPECT_NEAR(records_[0].grad_norm, records_[1].grad_norm,
              float32_bound(records_[0].grad_norm, terms_of_gradients(one->config(), 4 * 64)));
}

TEST_F(TrainerRun, DropoutIsTheSameHoweverActivationsAreKept) {
  trainer(*model(), one_stage(4, 2, 2))->run();
  const auto undropped = losses(records_);
  lora_.lora_dropout = 0.3;
  std::vector<double> expected;
  const std::vector<MemoryOptions> ways{{.recompute = Recompute::kNone},
                                        {.recompute = Recompute::kSelective},
                                        {.recompute = Recompute::kSelectivePlusPlus},
                                        {.recompute = Recompute::kLayer},
                                        {.recompute = Recompute::kSelective, .chunk_tokens = 5}};
  for (const MemoryOptions& memory : ways) {
    SCOPED_TRACE(write_fields(memory).dump());
    options_.memory = memory;
    records_.clear();
    trainer(*model(), one_stage(4, 2, 2))->run();
    if (expected.empty()) expected = losses(records_);
    for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(losses(records_)[i], expected[i], 1e-5);
  }
  EXPECT_DOUBLE_EQ(expected[0], undropped[0]);  // B is 0 at first
  EXPECT_GT(std::abs(expected[3] - undropped[3]), 1e-4);
}

TEST_F(TrainerRun, ANonFiniteLossStopsBeforeTheWeightsAreTouched) {
  auto tiny = model();
  tiny->visit_parameters("", [](const std::string& name, at::Tensor& parameter) {
    if (name == "model.layers.1.mlp.up_proj.weight") parameter.fill_(std::nan(""));
  });
  auto run = trainer(*tiny, one_stage(2));
  at::Tensor before = run->optimizer().weights()[0].master.clone();
  const std::string message = error_of([&] { run->run(); }, ExitCode::kNonFinite);
  EXPECT_THAT(message, testing::HasSubstr("step 1: loss nan"));
  EXPECT_THAT(message, testing::HasSubstr("rows 0 to 0"));
  EXPECT_TRUE(at::equal(run->optimizer().weights()[0].master, before));
  EXPECT_TRUE(records_.empty());
}

class FailsAfter : public Observer {
 public:
  explicit FailsAfter(int64_t step) : step_(step) {}
  void step_ended(Trainer&, StepRecord& record) override {
    if (record.step == step_) throw std::bad_alloc();
  }
  void run_ended(Trainer&) override { fail(ExitCode::kFailure, "the disk is full too"); }

 private:
  int64_t step_;
};

class NotesTheEnd : public Observer {
 public:
  explicit NotesTheEnd(int64_t& step) : step_(step) {}
  void run_ended(Trainer& trainer) override { step_ = trainer.step(); }

 private:
  int64_t& step_;
};

/// And what fails at the end does not hide what failed first.
TEST_F(TrainerRun, IsSavedWhateverGoesWrong) {
  auto tiny = model();
  auto run = trainer(*tiny, two_stages());
  int64_t ended_at = 0;
  run->add(std::make_unique<NotesTheEnd>(ended_at)).add(std::make_unique<FailsAfter>(2));
  EXPECT_THROW(run->run(), std::bad_alloc);
  EXPECT_EQ(ended_at, 2);
}

TEST_F(TrainerRun, MultipliesNoMoreThanIsTrained) {
  ModelConfig config = tiny_llama_config();
  config.tie_word_embeddings = false;
  lora_ = {.target_modules = {}, .modules_to_save = {"lm_head"}};
  constexpr int64_t kProjections = 2 * 7, kChunks = 2;  // of 16 tokens
  for (Recompute what : {Recompute::kNone, Recompute::kSelective, Recompute::kSelectivePlusPlus,
                         Recompute::kLayer}) {
    options_.memory.recompute = what;
    auto tiny = random_model(config);
    apply_lora(*tiny, lora_);
    EXPECT_EQ(products_of([&] { trainer(*tiny, one_stage(1))->run(); }),
              kProjections + 2 * kChunks);  // logits and the head's gradient
    auto run = trainer(*tiny, one_stage(1));
    Validation validation({.sequences = 1}, loader(32, false));
    StepRecord record;
    record.step = record.total_steps = 1;
    EXPECT_EQ(products_of([&] { validation.step_ended(*run, record); }), kProjections + kChunks);
  }
}

TEST_F(TrainerRun, ChunksChangeAStepInBfloat16ByRoundingAlone) {
  lora_ = {.r = 4,
           .target_modules = {"q_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"},
           .modules_to_save = {"norm"}};
  for (bool use_dora : {false, true}) {
    lora_.use_dora = use_dora;
    std::vector<TrainState> states;
    for (int64_t chunk_tokens : {0, 2}) {
      options_.memory = {.recompute = Recompute::kSelective, .chunk_tokens = chunk_tokens};
      auto tiny = model(at::kBFloat16);
      auto run = trainer(*tiny, one_stage(1));
      run->run();
      states.push_back(run->state());
    }
    for (size_t i = 0; i < states[0].weights.size(); ++i) {
      const at::Tensor& whole = states[0].weights[i].exp_avg;
      const double error = (states[1].weights[i].exp_avg - whole).norm().item<double>();
      // Twice what rounding the gradient to bfloat16 once changes at most.
      EXPECT_LE(error, 0x1p-8 * whole.norm().item<double>()) << states[0].weights[i].name;
    }
  }
}

TEST_F(TrainerRun, TellsTheResidencyThatItIsGivenOfEachUseOfALayer) {
  struct Journal : WeightResidency {
    std::vector<size_t> layers;
    void will_use(size_t layer) override { layers.push_back(layer); }
    void used(size_t) override {}
  };
  auto journal = std::make_shared<Journal>();
  options_.memory.recompute = Recompute::kLayer;
  auto tiny = model();
  Trainer(*tiny, one_stage(1), {loader(32)}, options_, journal).run();
  EXPECT_THAT(journal->layers, testing::ElementsAre(0, 1, 1, 0));
}

}  // namespace
}  // namespace longspan
