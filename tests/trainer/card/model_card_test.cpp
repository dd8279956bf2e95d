#include "trainer/card/model_card.h"

#include <ATen/ops/ones.h>
#include <gmock/gmock.h>

#include "checkpoints/adapters/peft_adapter.h"
#include "checkpoints/adapters/whole_model.h"
#include "checkpoints/hf/hf_config.h"
#include "tests/checkpoints/model_folder.h"
#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"
#include "trainer/eval/eval_result.h"

namespace longspan {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

namespace fs = std::filesystem;

/// A run of 2 steps on a tiny base with YaRN, its checkpoint, and a place for the merged model.
class ModelCard : public testing::Test {
 protected:
  ModelCard() {
    ModelConfig config = tiny_llama_config();
    write_model_folder(base_, *random_model(config));
    Json keys = {{"rope_type", "yarn"}, {"factor", 2.0}, {"original_max_position_embeddings", 64}};
    Diagnostics diagnostics;
    config.rope_scaling = read_rope_scaling(Fields(keys, diagnostics));
    config.max_position_embeddings = 128;
    PeftAdapter adapter;
    adapter.lora = {
        .r = 2, .lora_alpha = 6, .target_modules = {"q_proj"}, .modules_to_save = {"norm"}};
    adapter.base_model_name_or_path = base_.string();
    adapter.config_json = write_hf_config(config, at::kFloat);
    adapter.tensors["model.norm.weight"] = at::ones({36});
    fs::create_directories(checkpoint_);
    write_peft_adapter(checkpoint_, adapter);
  }

  /// Of `steps` that were planned two were made, and none of a second stage.
  void write_training(Json attention = {{"pattern", "shifted_sparse"}, {"group_size", 32}},
                      int64_t steps = 2) {
    Json stage = {{"steps", steps},
                  {"seq_len", 128},
                  {"batch_size", 2},
                  {"gradient_accumulation_steps", 3},
                  {"attention", std::move(attention)}};
    write_json_file(checkpoint_ / "state.json",
                    {{"step", 2},
                     {"tokens", 1536},
                     {"identity",
                      {{"data", {{"tokens", 9000}, {"tokens_sha256", "abc"}}},
                       {"optimizer", {{"lr", 0.0005}}},
                       {"lr_schedule", {{"type", "cosine"}, {"warmup_steps", 1}}},
                       {"stages", Json::array({stage, {{"steps", 9}, {"seq_len", 777}}})}}}});
    folder_.write("run/metrics.jsonl",
                  "{\"step\":1,\"loss\":2.5,\"step_seconds\":40.0,\"peak_memory_bytes\":1048576}\n"
                  "{\"step\":2,\"loss\":2.25,\"step_seconds\":20.0,\"peak_memory_bytes\":2097152}\n"
                  "{\"step\":3,\"loss\":1.0,\"step_seconds\":20.0}\n{\"torn");
  }
  void write_result(const std::string& label, const fs::path& model, Json rows,
                    const std::string& file = "", int64_t targets = 4) {
    EvalResult result;
    result.label = label;
    result.provenance = {{"model", model.string()}, {"adapter", nullptr}};
    result.tasks.push_back({"perplexity", {{"targets", targets}}, std::move(rows), 1.0});
    write_json_file(run_ / ((file.empty() ? label : file) + ".json"), result.write());
  }
  Json row(int64_t length, double nll) {
    return {{"length", length},   {"nll", nll},     {"ppl", std::exp(nll)},  {"bits_per_byte", 1.0},
            {"tokens_scored", 4}, {"documents", 1}, {"document_nll", {nll}}, {"seconds", 1.0}};
  }
  std::string merged_card() {
    return model_card({.adapter = checkpoint_, .merged = merged_, .merged_dtype = "bfloat16"});
  }

  TemporaryFolder folder_;
  fs::path base_ = folder_.path() / "tiny", run_ = folder_.path() / "run",
           checkpoint_ = run_ / "checkpoints" / "step-000002", merged_ = run_ / "merged";
};

TEST_F(ModelCard, StatesBaseContextAndMethod) {
  std::string card = merged_card();
  EXPECT_TRUE(card.starts_with("---\nlibrary_name: transformers\n"));
  EXPECT_THAT(card,
              AllOf(HasSubstr("\n- yarn\n---\n"), HasSubstr("# run (merged)"),
                    HasSubstr("| base | 64 | unscaled, rope_theta 10,000 |"),
                    HasSubstr("| this model | 128 | yarn x2 over 64 positions, rope_theta "),
                    HasSubstr("LoRA of rank 2 (lora_alpha 6) on q_proj; trained whole: norm")));
}

TEST_F(ModelCard, SaysNothingThatIsNotKnown) {
  EXPECT_THAT(merged_card(), AllOf(Not(HasSubstr("steps")), Not(HasSubstr("data")),
                                   Not(HasSubstr("base_model")), Not(HasSubstr("## Measured"))));
  EXPECT_THAT(merged_card(), HasSubstr("Nothing was measured of this model"));
}

TEST_F(ModelCard, StatesTheTrainingUpToItsStep) {
  write_training();
  EXPECT_THAT(
      merged_card(),
      AllOf(HasSubstr("2 steps of AdamW, 1,536 tokens"),
            HasSubstr("data: 9,000 tokens of documents; SHA-256 of the tokens abc\n"),
            HasSubstr("learning rate 0.0005, schedule cosine (warmup_steps 1)"),
            HasSubstr("loss 2.5000 at step 1, 2.2500 at step 2"), HasSubstr("1 min 00 s"),
            HasSubstr("2 MiB"), HasSubstr("| 2 | 128 | 6 | shifted_sparse, groups of 32 |")));
}

TEST_F(ModelCard, ShowsTheStepsThatWereMade) {
  for (const int64_t planned : {2, 5}) {
    write_training({{"pattern", "full"}}, planned);
    EXPECT_THAT(merged_card(), AllOf(HasSubstr("| 2 | 128 | 6 | full |"), Not(HasSubstr("777"))));
  }
}

TEST_F(ModelCard, SaysInWhichLayersThePatternWas) {
  write_training({{"pattern", "shifted_sparse"}, {"group_size", 32}, {"layers", {1}}});
  EXPECT_THAT(merged_card(), HasSubstr("| shifted_sparse in 1 of 2 layers, groups of 32 |"));
  write_training({{"pattern", "of_another_version"}});
  EXPECT_THAT(merged_card(), HasSubstr("| of_another_version |"));
}

TEST_F(ModelCard, ShowsResultsOfThisModelBesideOthers) {
  write_training();
  write_result("base", base_, Json::array({row(32, 3.0), row(64, 4.0)}));
  EXPECT_THAT(merged_card(), HasSubstr("Nothing was measured"));
  write_result("trained", merged_, Json::array({row(32, 2.5), row(64, 2.25)}));
  EXPECT_THAT(merged_card(),
              AllOf(HasSubstr("- `trained`: this model"), HasSubstr("- `base`: " + base_.string()),
                    HasSubstr("| trained |"), HasSubstr("2.250"),
                    HasSubstr("- perplexity: beyond 64 tokens, up to the 128"),
                    HasSubstr("- passkey: not at any length")));
}

TEST_F(ModelCard, ShowsEachOfItsOwnResultsWhereTheyDoNotCompare) {
  write_training();
  write_result("base", base_, Json::array({row(64, 4.0)}));
  write_result("trained", merged_, Json::array({row(64, 2.25)}));
  write_result("more targets", merged_, Json::array({row(128, 1.75)}), "", 8);
  EXPECT_THAT(merged_card(), AllOf(HasSubstr("2.250"), HasSubstr("1.750"), Not(HasSubstr("4.000")),
                                   Not(HasSubstr("- perplexity: "))));
}

TEST_F(ModelCard, TakesNoResultOfTheSameLabelForItsOwn) {
  write_training();
  write_result("eval", base_, Json::array({row(64, 4.0)}), "a");
  write_result("eval", merged_, Json::array({row(32, 2.25)}), "b");
  EXPECT_THAT(merged_card(),
              AllOf(HasSubstr("- `eval`: this model"), HasSubstr("- `eval`: " + base_.string()),
                    HasSubstr("2.250"), Not(HasSubstr("4.000")),
                    HasSubstr("- perplexity: beyond 32 tokens, up to the 128")));
}

TEST_F(ModelCard, SaysWhetherTheAdapterIsOfDora) {
  PeftAdapter dora = read_peft_adapter(checkpoint_);
  dora.lora.use_dora = true;
  write_peft_adapter(checkpoint_, dora);
  EXPECT_THAT(merged_card(), HasSubstr("DoRA of rank 2 (lora_alpha 6) on q_proj"));
}

TEST_F(ModelCard, LosesNoModelToADamagedState) {
  write_json_file(checkpoint_ / "state.json", {{"step", "two"}});
  add_model_card(run_, {.adapter = checkpoint_});
  EXPECT_FALSE(fs::exists(run_ / "README.md"));
  // As the command card does.
  EXPECT_THAT(
      error_of([&] { write_model_card(run_, {.adapter = checkpoint_}); }, ExitCode::kCheckpoint),
      HasSubstr("its state.json"));
  write_json_file(checkpoint_ / "state.json", {{"step", 2}});
  add_model_card(run_, {.adapter = checkpoint_});
  EXPECT_TRUE(fs::exists(run_ / "README.md"));
}

TEST_F(ModelCard, NamesAHubModelAndItsAdapter) {
  std::string card = model_card({.adapter = checkpoint_, .base = "some-org/some-model"});
  EXPECT_TRUE(
      card.starts_with("---\nbase_model: some-org/some-model\nbase_model_relation: adapter\n"
                       "library_name: peft\n"));
  EXPECT_THAT(card, HasSubstr("# run (step-000002)"));
  EXPECT_THAT(card, HasSubstr("from_pretrained(\"some-org/some-model\", config=config)"));
  EXPECT_THAT(merged_card(), Not(HasSubstr("from_pretrained")));
}

TEST_F(ModelCard, OfAModelThatWasTrainedWholeSaysNothingOfLora) {
  write_training();
  PeftAdapter all = read_peft_adapter(checkpoint_);
  all.lora = {.none = true};
  all.base_model_name_or_path = base_.string();
  all.tensors.clear();
  const auto base = open_model_source(base_);
  for (const auto& info : base->tensors()) all.tensors[info.name] = base->tensor(info.name);
  fs::remove(checkpoint_ / "adapter_config.json");
  write_whole_model(checkpoint_, all);
  const std::string own = model_card({.adapter = checkpoint_});
  for (const std::string& card : {own, merged_card()}) {
    EXPECT_THAT(card, AllOf(HasSubstr("library_name: transformers\n"),
                            HasSubstr("- all weights trained (full fine-tuning)\n"),
                            HasSubstr("extended by longspan, by training all weights"),
                            HasSubstr("| this model | 128 | yarn x2"), Not(HasSubstr("lora")),
                            Not(HasSubstr("LoRA")), Not(HasSubstr("PEFT"))));
  }
  EXPECT_THAT(own, HasSubstr("The tokenizer is that of " + base_.string()));
}

TEST_F(ModelCard, TakesTheLicenseFromTheBasesCard) {
  folder_.write("tiny/README.md", "---\ntags:\n- x\nlicense: apache-2.0\n---\nlicense: no\n");
  EXPECT_THAT(merged_card(),
              AllOf(HasSubstr("license: apache-2.0\n"), Not(HasSubstr("license: no"))));
}

}  // namespace
}  // namespace longspan
