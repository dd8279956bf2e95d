// What transformers, PEFT and bitsandbytes compute (tests/reference/make_tiny_qlora.py), computed
// by us.

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/matmul.h>
#include <gtest/gtest.h>

#include "checkpoints/adapters/adapted_model.h"
#include "checkpoints/adapters/peft_adapter.h"
#include "checkpoints/model_source.h"
#include "src/nn/chunked_cross_entropy.h"
#include "tests/support/float32_bound.h"
#include "tests/support/places.h"

namespace longspan {
namespace {

const std::filesystem::path kQloraFolder = reference_folder() / "tiny_llama";

class GoldenQlora : public testing::Test {
 protected:
  double bound(const at::Tensor& expected) const {
    return float32_bound(expected, terms_of_logits(model_->config(), input_ids_.size(1)));
  }

  SafetensorsReader golden_{kQloraFolder / "qlora.safetensors"};
  at::Tensor input_ids_ = golden_.tensor("input_ids");
  std::unique_ptr<CausalLm> model_ = import_adapted_model(
      *open_model_source(kQloraFolder), read_peft_adapter(kQloraFolder / "adapter"),
      {.dtype = at::kFloat, .quantization = Quantization::kNf4});
};

TEST_F(GoldenQlora, GivesTheLogitsOfLinear4bit) {
  at::NoGradGuard no_gradients;
  at::Tensor hidden = model_->hidden_states({input_ids_, {}, {}});
  at::Tensor logits = at::matmul(hidden, model_->lm_head_weight().t());
  EXPECT_LT(largest(logits - golden_.tensor("logits")), bound(golden_.tensor("logits")));
}

TEST_F(GoldenQlora, GivesTheLossAndEveryGradient) {
  at::Tensor hidden = model_->hidden_states({input_ids_, {}, {}});
  at::Tensor labels = input_ids_.roll(-1, 1);
  labels.select(1, labels.size(1) - 1).fill_(kIgnoreIndex);
  at::Tensor loss = chunked_cross_entropy_sum(hidden.flatten(0, 1), model_->lm_head_weight(),
                                              labels.flatten(), 20) /
                    labels.ne(kIgnoreIndex).sum();
  loss.backward();
  EXPECT_NEAR(loss.item<float>(), golden_.tensor("loss").item<float>(),
              bound(golden_.tensor("loss")));

  size_t compared = 0;
  model_->visit_parameters("", [&](const std::string& name, at::Tensor& parameter) {
    if (!parameter.requires_grad()) return;
    at::Tensor expected = golden_.tensor("grad." + name);
    EXPECT_LT(largest(parameter.grad() - expected),
              float32_bound(expected, terms_of_gradients(model_->config(), input_ids_.numel())))
        << name;
    ++compared;
  });
  EXPECT_EQ(compared, golden_.tensors().size() - 3);  // less input_ids, logits and loss
}

/// modules_to_save of a projection: its weight is the adapter's, and quantised like the others.
TEST_F(GoldenQlora, TakesAProjectionThatWasSavedWhole) {
  at::NoGradGuard no_gradients;
  PeftAdapter adapter = read_peft_adapter(kQloraFolder / "adapter");
  const auto base = open_model_source(kQloraFolder);
  const std::string saved = "model.layers.0.mlp.down_proj.weight";
  const auto hidden_with = [&](const at::Tensor& weight) {
    adapter.tensors[saved] = weight;
    return import_adapted_model(*base, adapter,
                                {.dtype = at::kFloat, .quantization = Quantization::kNf4})
        ->hidden_states({input_ids_, {}, {}});
  };
  const at::Tensor own = base->tensor(saved);
  EXPECT_EQ(largest(hidden_with(own) - model_->hidden_states({input_ids_, {}, {}})), 0);
  EXPECT_GT(largest(hidden_with(-own) - hidden_with(own)), 0);
}

}  // namespace
}  // namespace longspan
