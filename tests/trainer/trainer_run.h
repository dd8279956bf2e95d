#pragma once

#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "checkpoints/run_state/checkpoint_store.h"
#include "data/store/token_store_writer.h"
#include "src/model/apply_lora.h"
#include "tests/support/tiny_llama.h"
#include "trainer/observers/checkpointing.h"
#include "trainer/trainer.h"

namespace longspan {

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

/// Runs of a tiny LLaMA over five short documents, each step recorded.
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

inline std::vector<double> losses(const std::vector<StepRecord>& records) {
  std::vector<double> all;
  for (const auto& record : records) all.push_back(record.loss);
  return all;
}

}  // namespace longspan
