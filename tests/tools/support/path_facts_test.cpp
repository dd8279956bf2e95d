#include "tools/support/path_facts.h"

#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>

#include "checkpoints/safetensors_writer.h"
#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"

namespace longspan {
namespace {

using testing::HasSubstr;

TEST(PathFacts, CountTheTensorsOfASafetensorsFile) {
  const TemporaryFolder folder;
  const std::string path = folder.path("x.safetensors");
  write_safetensors(path, {{"a", at::zeros({3, 5})}, {"b", at::zeros({7}).to(at::kBFloat16)}});
  const Json facts = path_facts(path, /*list_tensors=*/false);
  EXPECT_EQ(facts["kind"], "safetensors");
  EXPECT_EQ(facts["parameters"], 22);
  EXPECT_EQ(facts["weight_bytes"], 74);
  EXPECT_EQ(facts["dtypes"], Json({{"F32", 15}, {"BF16", 7}}));
  EXPECT_FALSE(facts.contains("tensors"));
  const Json tensors = path_facts(path, /*list_tensors=*/true)["tensors"];
  ASSERT_EQ(tensors.size(), 2);
  EXPECT_EQ(tensors[0], Json({{"name", "a"}, {"dtype", "F32"}, {"shape", {3, 5}}}));
}

TEST(PathFacts, TellOfAnAdapterBesideTheConfigOfAModelThatIsNotOurs) {
  const TemporaryFolder folder;
  folder.write("adapter_config.json", R"({"peft_type": "LORA", "r": 1, "lora_alpha": 3})");
  folder.write("config.json", R"({"model_type": "mllama", "quantization_config": {"bits": 4}})");
  const std::string name = "base_model.model.model.layers.0.self_attn.q_proj.lora_";
  write_safetensors(
      folder.path("adapter_model.safetensors"),
      {{name + "A.weight", at::zeros({1, 4})}, {name + "B.weight", at::zeros({4, 1})}});
  const Json facts = path_facts(folder.path(), /*list_tensors=*/false);
  EXPECT_EQ(facts["kind"], "PEFT adapter");
  EXPECT_EQ(facts["scale"], 3.0);
  EXPECT_THAT(facts["no_context"].get<std::string>(), HasSubstr("mllama"));
}

TEST(PathFacts, ListTheTensorsOfARunsNewestCheckpoint) {
  const TemporaryFolder folder;
  const std::string checkpoint = "checkpoints/step-000003/";
  folder.write(checkpoint + "adapter_config.json", R"({"peft_type": "LORA", "r": 1})");
  folder.write(checkpoint + "state.json", R"({"step": 3})");
  write_safetensors(folder.path(checkpoint + "adapter_model.safetensors"),
                    {{"base_model.model.model.norm.weight", at::zeros({4})}});
  EXPECT_FALSE(path_facts(folder.path(), /*list_tensors=*/false).contains("tensors"));
  const Json facts = path_facts(folder.path(), /*list_tensors=*/true);
  EXPECT_EQ(facts["tensors"].size(), 1);
  EXPECT_EQ(facts["newest_checkpoint"]["tensor_count"], 1);
  EXPECT_FALSE(facts["newest_checkpoint"].contains("tensors"));
}

TEST(PathFacts, GoByTheFirstBytesAndNotTheName) {
  const TemporaryFolder folder;
  const std::string path = folder.write("model.safetensors", "GGUF");
  EXPECT_THAT(error_of([&] { path_facts(path, false); }, ExitCode::kModel),
              HasSubstr("the version at byte 4"));
}

TEST(PathFacts, RefuseWhatIsNothingKnown) {
  const TemporaryFolder folder;
  const auto refused = [](const std::string& path, ExitCode code) {
    return error_of([&] { path_facts(path, false); }, code);
  };
  EXPECT_THAT(refused(folder.path("nothing"), ExitCode::kData), HasSubstr("there is no such"));
  EXPECT_THAT(refused(folder.write("x.txt", "words"), ExitCode::kData), HasSubstr("is no GGUF"));
  EXPECT_THAT(refused(folder.path().string(), ExitCode::kModel), HasSubstr("is no model folder"));
}

}  // namespace
}  // namespace longspan
