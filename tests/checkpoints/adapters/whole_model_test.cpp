#include "checkpoints/adapters/whole_model.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <gmock/gmock.h>

#include "checkpoints/adapters/merge_verification.h"
#include "checkpoints/run_state/checkpoint_store.h"
#include "checkpoints/run_state/train_state.h"
#include "tests/checkpoints/adapters/adapter_folder.h"
#include "tests/support/errors.h"
#include "tests/support/largest.h"

namespace longspan {
namespace {

/// Every weight of the base moved by 2 %, as a checkpoint of `lora: none` has it, with its state.
class WholeModel : public PeftAdapterFolder {
 protected:
  WholeModel() {
    PeftAdapter all = trained({"norm"});
    model_ = import_model(*open_model_source(base_), {.dtype = at::kFloat});
    all.lora = {.none = true};
    all.tensors.clear();
    model_->visit_parameters("", [&](const std::string& name, at::Tensor& parameter) {
      parameter = parameter * 1.02;
      all.tensors[name] = parameter;
    });
    Json keys = {{"rope_type", "yarn"}, {"factor", 2.0}, {"original_max_position_embeddings", 64}};
    Diagnostics diagnostics;
    model_->set_rope_scaling(read_rope_scaling(Fields(keys, diagnostics)), 128);
    fs::create_directories(adapter_);
    write_whole_model(adapter_, all);
    write_train_state(adapter_, {});
  }
};

TEST_F(WholeModel, IsReadAsAnAdapterThatSavesEveryModule) {
  EXPECT_TRUE(is_whole_model(adapter_));
  EXPECT_EQ(find_adapter(adapter_), adapter_);
  EXPECT_FALSE(is_whole_model(base_));  // an export has no train state
  EXPECT_EQ(find_adapter(base_), std::nullopt);
  const PeftAdapter read = read_peft_adapter(adapter_);
  EXPECT_TRUE(read.lora.none);
  EXPECT_EQ(read.base_model_name_or_path, base_.string());
  const auto base = open_model_source(base_);
  EXPECT_EQ(read.tensors.size(), base->tensors().size() + 1);  // the tied head, which is no other
  for (const auto& info : base->tensors()) {
    EXPECT_TRUE(at::equal(read.tensors.at(info.name), base->tensor(info.name) * 1.02)) << info.name;
  }
}

TEST_F(WholeModel, IsAModelByItself) {
  const auto source = open_model_source(adapter_);
  EXPECT_EQ(source->config_json()["dtype"], "float32");
  const auto model = import_model(*source, {.dtype = at::kFloat});
  EXPECT_EQ(largest_difference(logits_of(*model), logits_of(*model_)), 0);
}

TEST_F(WholeModel, TakesThePlaceOfTheBaseWithItsTokenizerAndDtype) {
  const auto base = open_model_source(base_);
  const PeftAdapter read = read_peft_adapter(adapter_);
  merge(*base, read, 6000);
  const auto merged = open_model_source(out_);
  const MergeVerification found = verify_merge(*base, read, *merged);
  EXPECT_EQ(found.saved, std::ssize(base->tensors()));
  EXPECT_EQ(found.adapted + found.copied, 0);
  EXPECT_EQ(merged->side_json("tokenizer_config.json")["x"], "kept");
  EXPECT_EQ(merged->config_json()["max_position_embeddings"], 128);
  EXPECT_EQ(merged->config_json()["tie_word_embeddings"], true);
  EXPECT_FALSE(merged->config_json().contains("_name_or_path"));
  const auto apart = import_adapted_model(*base, read, {.dtype = at::kFloat});
  const auto model = import_model(*merged, {.dtype = at::kFloat});
  EXPECT_EQ(largest_difference(logits_of(*apart), logits_of(*model_)), 0);
  EXPECT_EQ(largest_difference(logits_of(*model), logits_of(*model_)), 0);
}

TEST_F(WholeModel, IsNotReplacedByAnExport) {
  EXPECT_THAT(error_of([&] { require_replaceable(adapter_, /*force=*/true); }, ExitCode::kUsage),
              testing::HasSubstr("holds something other than a model (state.json)"));
}

TEST_F(WholeModel, OfAnotherShapeIsRefused) {
  ModelConfig wider = tiny_llama_config();
  wider.intermediate_size = 44;
  write_model_folder(base_, *random_model(wider));
  const auto base = open_model_source(base_);
  EXPECT_THAT(error_of([&] { merge(*base, read_peft_adapter(adapter_), 6000); }, ExitCode::kModel),
              testing::HasSubstr("mlp.gate_proj.weight' is [44, 36], the adapter has [40, 36]"));
}

}  // namespace
}  // namespace longspan
