#include "recipes/resume_identity.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <fstream>

#include "tests/support/errors.h"

namespace longspan {
namespace {

using testing::HasSubstr;

class ResumeIdentity : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  Json identity(const std::vector<std::string>& overrides = {}, const char* train = "") {
    std::ofstream(folder_ / "a.yaml")
        << "model: {path: models/a}\ndata: {path: a.h5}\n"
        << (*train ? train : "train: {steps: 10, batch_size: 2, gradient_accumulation_steps: 3}\n");
    return resume_identity(load_recipe(folder_ / "a.yaml", overrides));
  }
  Json staged(const std::vector<std::string>& overrides = {}) {
    return identity(overrides,
                    "train: {seq_len: 64}\nstages: [{steps: 4}, {steps: 5, seq_len: 128}]\n");
  }

  std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("resume_identity_test-" + std::to_string(getpid()));
};

TEST_F(ResumeIdentity, WhatComesAfterTheCheckpointMayBeOtherwise) {
  const Json saved = identity_at(identity(), 7);
  for (const char* change : {"output.dir=x",
                             "checkpoint.every_steps=1",
                             "validation={path: v.h5}",
                             "data.path=moved.h5",
                             "model.path=moved",
                             "model.dtype=float32",
                             "model.quantization=nf4",
                             "model.on_scaled=replace",
                             "optimizer.lr=1e-5",
                             "optimizer.weight_decay=0.1",
                             "lr_schedule.type=constant",
                             "lr_schedule.warmup_steps=9",
                             "train.max_grad_norm=0.3",
                             "train.threads=1",
                             "train.deterministic=true",
                             "train.loss_chunk_tokens=64",
                             "memory.recompute=layer",
                             "memory.optimizer_state_bits=8",
                             "train.steps=7",
                             "train.steps=1000",
                             "lora.target_modules=[v_proj, q_proj, o_proj, k_proj, q_proj]",
                             "lora.modules_to_save=[norm, embed_tokens]"}) {
    EXPECT_EQ(identity_at(identity({change}), 7), saved) << change;
  }
  EXPECT_EQ(identity_at(identity({"train.batch_size=1", "train.gradient_accumulation_steps=6"}), 7),
            saved);
}

TEST_F(ResumeIdentity, WhatIsTrainedAndTheRowsTakenMayNot) {
  const Json saved = identity_at(identity(), 7);
  for (const char* change :
       {"lora.r=4", "lora.use_dora=true", "lora.lora_alpha=3", "lora.target_modules=[q_proj]",
        "lora.rank_pattern={v_proj: 4}", "lora.modules_to_save=[norm]", "train.seed=1",
        "train.seq_len=64", "train.batch_size=1", "data.shuffle=false",
        "data.min_document_tokens=9", "model.on_scaled=compose", "attention.pattern=shifted_sparse",
        "rope={rope_type: linear, factor: 2}", "train.steps=6"}) {
    EXPECT_NE(identity_at(identity({change}), 7), saved) << change;
  }
}

TEST_F(ResumeIdentity, MemoryMayLieInAnotherFolder) {
  const char* kMemory = "attention={pattern: focused_memory, mem_layers: [1], mem_dir: a}";
  const char* kMoved = "attention={pattern: focused_memory, mem_layers: [1], mem_dir: b}";
  const char* kOther = "attention={pattern: focused_memory, mem_layers: [0], mem_dir: a}";
  const std::string train =
      "train: {steps: 10, seq_len: 2048, batch_size: 4, gradient_accumulation_steps: 1}\n";
  const Json saved = identity_at(identity({kMemory}, train.c_str()), 3);
  EXPECT_EQ(identity_at(identity({kMoved}, train.c_str()), 3), saved);
  EXPECT_NE(identity_at(identity({kOther}, train.c_str()), 3), saved);
}

/// The negatives of focused memory are the other rows of a pass.
TEST_F(ResumeIdentity, RowsOfAPassStayWhereTheyMeet) {
  const auto rows = [&](const char* attention, int64_t passes) {
    const std::string train = fmt::format(
        "train: {{steps: 10, seq_len: 2048, batch_size: {}, gradient_accumulation_steps: {}}}\n",
        12 / passes, passes);
    return identity_at(identity({attention}, train.c_str()), 3);
  };
  const char* kFocused = "attention={pattern: focused_memory, mem_layers: [1]}";
  EXPECT_NE(rows(kFocused, 1), rows(kFocused, 3));
  EXPECT_EQ(rows("attention={pattern: full}", 1), rows("attention={pattern: full}", 3));
}

TEST_F(ResumeIdentity, StagesThatHaveNotBegunMayChange) {
  const Json at_4 = identity_at(staged(), 4), at_6 = identity_at(staged(), 6);
  for (const char* change : {"stages.1.seq_len=32", "stages.1.attention={pattern: shifted_sparse}",
                             "stages.0.steps=6", "stages=[{steps: 4}]"}) {
    EXPECT_EQ(identity_at(staged({change}), 4), at_4) << change;
    EXPECT_NE(identity_at(staged({change}), 6), at_6) << change;
  }
  EXPECT_EQ(identity_at(staged({"stages.1.steps=2"}), 6), at_6);
  EXPECT_EQ(identity_at(staged({"stages.1.steps=50"}), 6), at_6);
  EXPECT_NE(identity_at(staged({"stages.1.steps=1"}), 6), at_6);
}

TEST_F(ResumeIdentity, AStoreOfAStageMayLieInAnotherPlace) {
  EXPECT_EQ(identity_at(staged({"stages.1.data_path=a.h5"}), 6),
            identity_at(staged({"stages.1.data_path=b.h5"}), 6));
}

TEST_F(ResumeIdentity, StagesThatTakeTurnsStayAsTheyAre) {
  const std::string turns = "train.interleave=true";
  const Json at_4 = identity_at(staged({turns}), 4);
  for (const char* change : {"stages.1.steps=50", "stages.0.steps=6", "stages.1.seq_len=32"}) {
    EXPECT_NE(identity_at(staged({turns, change}), 4), at_4) << change;
  }
  EXPECT_EQ(identity_at(staged({turns, "optimizer.lr=1e-5"}), 4), at_4);
  EXPECT_NE(identity_at(staged(), 4), at_4);
}

TEST_F(ResumeIdentity, OneOfAnEarlierVersionHoldsMoreAndBindsAsMuch) {
  Json saved = identity();
  saved["optimizer"] = {{"lr", 1e-4}};
  saved["lr_schedule"] = {{"type", "cosine"}};
  saved["memory"] = {{"optimizer_state_bits", 32}};
  saved["model"] = {{"dtype", "bfloat16"}, {"quantization", "none"}, {"config_sha256", "a"}};
  saved["train"]["max_grad_norm"] = 1.0;
  Json now = identity();
  now["model"]["config_sha256"] = "a";
  EXPECT_EQ(identity_at(saved, 3), identity_at(now, 3));
}

TEST_F(ResumeIdentity, HashesOfAnEarlierVersionAreComparedAsFarAsBothHaveThem) {
  Json now = identity();
  now["model"]["config"] = {{"hidden_size", 64}};
  now["model"]["config_sha256"] = "written";
  now["model"]["weights_sha256"] = "w";
  now["data"]["tokens_sha256"] = "t";
  const auto refusal = [&](const Json& saved) {
    return error_of([&] { require_same_run(saved, now, 7, "runs/a"); }, ExitCode::kCheckpoint);
  };
  EXPECT_EQ(refusal(now), "no error");
  Json written_otherwise = now;
  written_otherwise["model"]["config_sha256"] = "otherwise";
  EXPECT_EQ(refusal(written_otherwise), "no error");

  Json before = now;  // no config
  before["model"].erase("config");
  EXPECT_EQ(refusal(before), "no error");
  before["model"]["config_sha256"] = "otherwise";
  EXPECT_THAT(refusal(before), HasSubstr("model.config_sha256"));

  Json long_before = now;  // no hashes of weights and tokens either
  for (const char* key : {"config", "weights_sha256"}) long_before["model"].erase(key);
  long_before["data"].erase("tokens_sha256");
  long_before["data"]["documents_sha256"] = "d";
  EXPECT_EQ(refusal(long_before), "no error");

  for (const auto& [map, key] : {std::pair{"model", "weights_sha256"}, {"data", "tokens_sha256"}}) {
    Json other = now;
    other[map][key] = "x";
    EXPECT_THAT(refusal(other), HasSubstr(fmt::format("{}.{}", map, key)));
  }
  Json other = now;
  other["model"]["config"]["hidden_size"] = 72;
  EXPECT_THAT(refusal(other), HasSubstr("model.config.hidden_size"));
}

TEST_F(ResumeIdentity, ADamagedOneIsOnlyDifferent) {
  for (const char* text : {"null", "[]", "3", R"({"stages": 1})", R"({"stages": [1]})",
                           R"({"stages": [{"steps": "x"}], "model": []})"}) {
    const Json saved = Json::parse(text);
    EXPECT_NE(identity_at(saved, 1), identity_at(identity(), 1)) << text;
    EXPECT_THAT(
        error_of([&] { require_same_run(saved, identity(), 1, "runs/a"); }, ExitCode::kCheckpoint),
        HasSubstr("runs/a: the checkpoint belongs to another run"))
        << text;
  }
}

}  // namespace
}  // namespace longspan
