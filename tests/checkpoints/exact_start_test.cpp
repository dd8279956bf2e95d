#include "checkpoints/exact_start.h"

#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include "checkpoints/hf/hf_importer.h"
#include "src/model/apply_lora.h"
#include "src/nn/lora_linear.h"
#include "tests/checkpoints/model_folder.h"
#include "tests/checkpoints/temporary_folder.h"

namespace longspan {
namespace {

TEST(ExactStart, IsTheFilesOwnValueWhereTheModelsIsRounded) {
  TemporaryFolder folder;
  write_model_folder(folder.path("base"), *random_model(tiny_llama_config(), 1, at::kHalf));
  const auto source = open_model_source(folder.path("base"));
  auto model = import_model(*source, {.dtype = at::kBFloat16});
  apply_lora(*model, {.use_dora = true, .modules_to_save = {"embed_tokens", "norm"}});
  int saved = 0, magnitudes = 0, factors = 0;
  model->visit_parameters("", [&](const std::string& name, at::Tensor& parameter) {
    if (!parameter.requires_grad()) return;
    const at::Tensor start = exact_start(*source, name);
    if (name.find("lora_A") != name.npos || name.find("lora_B") != name.npos) {
      EXPECT_FALSE(start.defined()) << name;
      ++factors;
    } else if (name.ends_with(".lora_magnitude_vector")) {
      const std::string module = name.substr(0, name.rfind('.'));
      const at::Tensor weight = source->tensor(module + ".weight");
      EXPECT_TRUE(at::equal(start, lora_row_norms(weight, {}, {}, 0))) << name;
      ++magnitudes;
    } else {
      EXPECT_TRUE(at::equal(start, source->tensor(name).to(at::kFloat))) << name;
      EXPECT_FALSE(at::equal(start, parameter.detach().to(at::kFloat))) << name;
      ++saved;
    }
  });
  EXPECT_EQ(saved, 1 + 2 * 2 + 1);  // embed_tokens, and the norms
  EXPECT_EQ(magnitudes, 2 * 4);
  EXPECT_EQ(factors, 2 * 2 * 4);
}

TEST(ExactStart, OfAHeadThatIsNotInTheFileIsUndefined) {
  TemporaryFolder folder;
  write_model_folder(folder.path("base"), *random_model(tiny_llama_config()));
  EXPECT_FALSE(exact_start(*open_model_source(folder.path("base")), "lm_head.weight").defined());
}

}  // namespace
}  // namespace longspan
