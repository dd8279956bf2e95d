#include "trainer/trainer.h"

#include <ATen/Parallel.h>
#include <ATen/core/Reduction.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <cstdio>
#include <filesystem>

#include "checkpoints/adapters/peft_adapter.h"
#include "checkpoints/run_state/checkpoint_store.h"
#include "data/store/token_store_writer.h"
#include "src/core/error.h"
#include "src/core/fields_writer.h"
#include "src/core/stop_signal.h"
#include "src/core/text.h"
#include "src/model/apply_lora.h"
#include "tests/support/devices.h"
#include "tests/support/float32_bound.h"
#include "tests/support/products.h"
#include "tests/support/tiny_llama.h"
#include "trainer/loss.h"
#include "trainer/observers/checkpointing.h"
#include "trainer/observers/metrics.h"
#include "trainer/observers/stop_on_signal.h"
#include "trainer/observers/validation.h"

namespace longspan {
namespace {

namespace fs = std::filesystem;

class Recorder : public Observer {
 public:
  explicit Recorder(std::vector<StepRecord>& records) : records_(records) {}
  void step_ended(Trainer&, StepRecord& record) override { records_.push_back(record); }

 private:
  std::vector<StepRecord>& records_;
};

class StopAfter : public Observer {
 public:
  explicit StopAfter(int64_t step) : step_(step) {}
  void step_ended(Trainer& trainer, StepRecord& record) override {
    if (record.step >= step_) trainer.stop();
  }

 private:
  int64_t step_;
};

class TrainerRun : public testing::Test {
 protected:
  void SetUp() override {
    at::set_num_threads(1);  // matrices this small only wait for each other
    fs::create_directories(folder_);
    TokenStoreWriter writer(folder_ / "tokens.h5", "tiny", 61);
    for (int document = 0; document < 5; ++document) {
      std::vector<int32_t> ids;
      for (int i = 0; i < 90 + 40 * document; ++i) ids.push_back((i * i + document) % 61);
      writer.append("document " + std::to_string(document), ids);
    }
    writer.commit();
    store_ = std::make_shared<const TokenStore>(folder_ / "tokens.h5");
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::shared_ptr<const Loader> loader(int64_t seq_len, bool shuffle = true) {
    LoaderOptions options;
    options.packer.seq_len = seq_len;
    options.seed = 7;
    options.shuffle = shuffle;
    return std::make_shared<const Loader>(store_, options);
  }

  std::unique_ptr<CausalLm> model(at::ScalarType dtype = at::kFloat) {
    auto made = random_model(tiny_llama_config(), 1, dtype);
    apply_lora(*made, lora_);
    return made;
  }

  std::unique_ptr<Trainer> trainer(CausalLm& model, const std::vector<Stage>& stages) {
    std::vector<std::shared_ptr<const Loader>> loaders;
    for (const auto& stage : stages) loaders.push_back(loader(stage.seq_len));
    auto made = std::make_unique<Trainer>(model, stages, loaders, options_);
    made->add(std::make_unique<Recorder>(records_));
    return made;
  }

  /// Two stages: shifted sparse at 32 tokens, then full attention and YaRN at 96.
  static std::vector<Stage> two_stages() {
    Json yarn = {{"rope_type", "yarn"}, {"factor", 2}};
    Diagnostics diagnostics;
    return {{.steps = 3,
             .seq_len = 32,
             .batch_size = 2,
             .gradient_accumulation_steps = 2,
             .attention = make_attention_pattern("shifted_sparse"),
             .rope = nullptr},
            {.steps = 3,
             .seq_len = 96,
             .attention = make_attention_pattern("full"),
             .rope = read_rope_scaling(Fields(yarn, diagnostics))}};
  }
  static std::vector<Stage> one_stage(int64_t steps, int64_t batch_size = 1,
                                      int64_t gradient_accumulation_steps = 1) {
    return {{.steps = steps,
             .seq_len = 32,
             .batch_size = batch_size,
             .gradient_accumulation_steps = gradient_accumulation_steps,
             .attention = make_attention_pattern("full"),
             .rope = nullptr}};
  }

  std::unique_ptr<Checkpointing> checkpointing(const CheckpointingOptions& options) {
    return std::make_unique<Checkpointing>(CheckpointStore(folder_ / "checkpoints"), options, lora_,
                                           "base", Json{{"seed", 7}});
  }

  fs::path folder_ = fs::temp_directory_path() / ("trainer_test-" + std::to_string(getpid()));
  std::shared_ptr<const TokenStore> store_;
  LoraOptions lora_{.r = 4, .modules_to_save = {"embed_tokens", "norm"}};
  TrainerOptions options_{.optimizer = {.lr = 1e-2}, .loss_chunk_tokens = 16};
  std::vector<StepRecord> records_;
};

/// Of the labels of a batch, from all logits, in float64.
at::Tensor token_losses(CausalLm& model, const Batch& batch) {
  at::NoGradGuard no_gradients;
  model.set_attention(make_attention_pattern("full"));
  const auto tensor = [&](const std::vector<int64_t>& values) {
    return at::tensor(values, at::kLong).view({batch.rows, batch.seq_len});
  };
  const at::Tensor hidden = model.hidden_states({.input_ids = tensor(batch.input_ids),
                                                 .position_ids = tensor(batch.position_ids),
                                                 .document_ids = tensor(batch.document_ids)});
  const at::Tensor logits =
      at::matmul(hidden.to(at::kDouble), model.lm_head_weight().to(at::kDouble).t());
  return at::cross_entropy_loss(logits.flatten(0, 1), tensor(batch.labels).flatten(), {},
                                at::Reduction::None);
}

std::vector<double> losses(const std::vector<StepRecord>& records) {
  std::vector<double> all;
  for (const auto& record : records) all.push_back(record.loss);
  return all;
}

TEST_F(TrainerRun, LowersTheLoss) {
  auto tiny = model();
  trainer(*tiny, one_stage(30, 4))->run();
  EXPECT_LT(records_.back().loss, 0.8 * records_.front().loss);
}

TEST_F(TrainerRun, NamesTheRowsOfAStepWithoutALabel) {
  {
    TokenStoreWriter writer(folder_ / "unlabelled.h5", "tiny", 61);
    writer.append("context", std::vector<int32_t>(33, 5), std::vector<uint8_t>(33, 0));
    writer.commit();
  }
  store_ = std::make_shared<const TokenStore>(folder_ / "unlabelled.h5");
  auto tiny = model();
  try {
    trainer(*tiny, one_stage(1, 2))->run();
    FAIL() << "a mean over no labels";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::kData);
    EXPECT_THAT(e.what(),
                testing::HasSubstr("unlabelled.h5: rows 0 to 1 (1 an epoch) have no token"));
  }
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

TEST_F(TrainerRun, OnCudaLosesWhatTheCpuLoses) {
  if (auto reason = why_not_on_cuda(); !reason.empty()) GTEST_SKIP() << reason;
  const std::vector<MemoryOptions> ways{
      {.recompute = Recompute::kNone},
      {.recompute = Recompute::kSelective, .optimizer_state_bits = 8},
      {.recompute = Recompute::kLayer, .chunk_tokens = 8},
      {.recompute = Recompute::kSelective, .offload = Offload::kRam, .offload_ram = 1 << 20}};
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

TEST_F(TrainerRun, AccumulationGivesWhatOneLargeBatchGives) {
  auto one = model(), two = model();
  trainer(*one, one_stage(1, 4, 1))->run();
  trainer(*two, one_stage(1, 2, 2))->run();
  EXPECT_NEAR(records_[0].loss, records_[1].loss,
              float32_bound(records_[0].loss, terms_of_loss(one->config(), 64)));
  EXPECT_NEAR(records_[0].grad_norm, records_[1].grad_norm, 1e-4 * records_[0].grad_norm);
}

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

TEST_F(TrainerRun, DropoutIsTheSameHoweverActivationsAreKept) {
  trainer(*model(), one_stage(4, 2, 2))->run();
  const auto undropped = losses(records_);
  lora_.lora_dropout = 0.3;
  std::vector<double> expected;
  const std::vector<MemoryOptions> ways{{.recompute = Recompute::kNone},
                                        {.recompute = Recompute::kSelective},
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

TEST_F(TrainerRun, ValidationDropsNothing) {
  lora_.lora_dropout = 0.5;
  auto tiny = model();
  auto run = std::make_unique<Trainer>(*tiny, one_stage(3), std::vector{loader(32)}, options_);
  run->add(std::make_unique<Validation>(ValidationOptions{.every_steps = 1, .sequences = 1},
                                        loader(32)));
  run->add(std::make_unique<Recorder>(records_));
  run->run();
  const int64_t row = loader(32)->rows_over_documents(1, /*seed=*/0)[0];
  const Batch batch = loader(32)->batch(row);
  const double sum = loss_sum(*tiny, batch, 16).item<double>();
  ASSERT_TRUE(records_.back().validation_loss);
  EXPECT_DOUBLE_EQ(*records_.back().validation_loss,
                   sum / static_cast<double>(batch.labelled_tokens));
}

TEST_F(TrainerRun, ANonFiniteLossStopsBeforeTheWeightsAreTouched) {
  auto tiny = model();
  tiny->visit_parameters("", [](const std::string& name, at::Tensor& parameter) {
    if (name == "model.layers.1.mlp.up_proj.weight") parameter.fill_(std::nan(""));
  });
  auto run = trainer(*tiny, one_stage(2));
  at::Tensor before = run->optimizer().weights()[0].master.clone();
  try {
    run->run();
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::kNonFinite);
    EXPECT_THAT(e.what(), testing::HasSubstr("step 1: loss nan"));
    EXPECT_THAT(e.what(), testing::HasSubstr("rows 0 to 0"));
  }
  EXPECT_TRUE(at::equal(run->optimizer().weights()[0].master, before));
  EXPECT_TRUE(records_.empty());
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

TEST_F(TrainerRun, ValidatesEverySoManyStepsAndAtTheEndWithoutDisturbing) {
  auto plain = model(), watched = model();
  trainer(*plain, two_stages())->run();
  auto expected = losses(records_);
  records_.clear();

  std::vector<StepRecord> with_validation;
  std::vector<std::shared_ptr<const Loader>> loaders = {loader(32), loader(96)};
  Trainer run(*watched, two_stages(), loaders, options_);
  ValidationOptions options{.every_steps = 4, .sequences = 2};
  run.add(std::make_unique<Validation>(options, loader(96, false)))
      .add(std::make_unique<Recorder>(with_validation))
      .run();
  EXPECT_EQ(losses(with_validation), expected);
  for (const auto& record : with_validation) {
    bool due = record.step == 4 || record.step == 6;
    EXPECT_EQ(record.validation_loss.has_value(), due) << record.step;
  }

  // At the end the model is that of the last validation. Its loss from the definition: the mean of
  // the cross entropies of the labels, of two rows of 96 tokens.
  const auto rows = loader(96, false);
  double loss = 0;
  int64_t labelled_tokens = 0;
  for (int64_t row : rows->rows_over_documents(2, 0)) {
    const Batch batch = rows->batch(row);
    const at::Tensor losses = token_losses(*watched, batch);
    loss += losses.sum().item<double>();
    labelled_tokens += batch.labelled_tokens;
  }
  EXPECT_NEAR(*with_validation.back().validation_loss, loss / static_cast<double>(labelled_tokens),
              1e-6);
}

TEST_F(TrainerRun, MultipliesNoMoreThanIsTrained) {
  ModelConfig config = tiny_llama_config();
  config.tie_word_embeddings = false;
  lora_ = {.target_modules = {}, .modules_to_save = {"lm_head"}};
  constexpr int64_t kProjections = 2 * 7, kChunks = 2;  // of 16 tokens
  for (Recompute what : {Recompute::kNone, Recompute::kSelective, Recompute::kLayer}) {
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

TEST_F(TrainerRun, AStageThatFailsAtOnceLeavesTheStateOfTheOneBefore) {
  class Spoil : public Observer {
    void step_ended(Trainer& trainer, StepRecord& record) override {
      if (record.step < 3) return;
      at::NoGradGuard no_gradients;
      trainer.model().visit_linears(
          [](const std::string&, std::unique_ptr<Linear>& linear) { linear->weight.fill_(NAN); });
    }
  };
  auto tiny = model();
  auto run = trainer(*tiny, two_stages());
  run->add(checkpointing({})).add(std::make_unique<Spoil>());
  EXPECT_THROW(run->run(), Error);
  const auto newest = *CheckpointStore(folder_ / "checkpoints").newest();
  EXPECT_EQ(newest.filename(), "step-000003");
  const Json config = read_peft_adapter(newest).config_json;
  EXPECT_EQ(config["max_position_embeddings"], 64);
  EXPECT_EQ(config["rope_parameters"]["rope_type"], "default");
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

TEST_F(TrainerRun, ACheckpointBeyondTheRunIsRefused) {
  auto tiny = model();
  auto run = trainer(*tiny, one_stage(2));
  TrainState state = run->state();
  state.step = 3;
  EXPECT_THROW(run->resume(state), Error);
}

}  // namespace
}  // namespace longspan
