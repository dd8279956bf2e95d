// What a dense float64 reference computes (tests/reference/make_focused_memory.py), computed by us.

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/linear.h>
#include <gtest/gtest.h>

#include "checkpoints/hf/hf_importer.h"
#include "checkpoints/safetensors.h"
#include "src/attention/focused_memory.h"
#include "src/nn/chunked_cross_entropy.h"
#include "tests/support/float32_bound.h"
#include "tests/support/largest.h"
#include "tests/support/places.h"

namespace longspan {
namespace {

const std::filesystem::path kFocusedMemory = reference_folder() / "focused_memory";

class GoldenFocusedMemory : public testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override {
    model_ = import_model(*open_model_source(kFocusedMemory), {.dtype = GetParam()});
    FocusedMemoryOptions options;
    options.mem_layers = {0, 2};
    options.lengths.window = input_.input_ids.size(1);
    model_->set_attention(std::make_shared<FocusedMemoryAttention>(options));
    model_->visit_parameters("", [](const std::string&, at::Tensor& parameter) {
      parameter = parameter.clone().requires_grad_(true);
    });
  }

  /// RoPE's tables are made in float32 whatever the dtype is: so much of the largest value.
  double bound(const at::Tensor& expected, int64_t terms) const {
    return GetParam() == at::kDouble ? 1e-7 * (1 + largest(expected))
                                     : float32_bound(expected, terms);
  }

  std::unique_ptr<CausalLm> model_;
  SafetensorsReader golden_{kFocusedMemory / "golden.safetensors"};
  ModelInput input_{.input_ids = golden_.tensor("input_ids"),
                    .position_ids = {},
                    .document_ids = {},
                    .passage_rows = 4};
};

TEST_P(GoldenFocusedMemory, GivesTheLogits) {
  const at::NoGradGuard no_gradients;
  const at::Tensor expected = golden_.tensor("logits");
  const at::Tensor logits = at::linear(model_->hidden_states(input_), model_->lm_head_weight());
  EXPECT_LT(largest(logits - expected),
            bound(expected, terms_of_logits(model_->config(), input_.input_ids.numel())));
}

TEST_P(GoldenFocusedMemory, GivesTheLossAndEveryGradientWithRecomputationOnAndOff) {
  const at::Tensor labels = golden_.tensor("labels").flatten(), expected = golden_.tensor("loss");
  const int64_t tokens = input_.input_ids.numel();
  for (const auto what : {Recompute::kNone, Recompute::kSelective, Recompute::kSelectivePlusPlus,
                          Recompute::kLayer}) {
    for (const int64_t chunk : {0, 20}) {
      model_->set_activations({.recompute = {.what = what}, .chunk_tokens = chunk});
      const at::Tensor hidden = model_->hidden_states(input_);
      const at::Tensor loss =
          chunked_cross_entropy_sum(hidden.flatten(0, 1), model_->lm_head_weight(), labels, 50);
      loss.backward();
      // The sum over tokens is kept in float32.
      EXPECT_NEAR(loss.item<double>(), expected.item<double>(),
                  float32_bound(expected, terms_of_loss(model_->config(), tokens)));
      model_->visit_parameters("", [&](const std::string& name, at::Tensor& parameter) {
        const at::Tensor gradient = golden_.tensor("grad." + name);
        EXPECT_LT(largest(parameter.grad() - gradient),
                  bound(gradient, terms_of_gradients(model_->config(), tokens)))
            << name << " recompute " << static_cast<int>(what) << " chunk " << chunk;
        parameter.mutable_grad().reset();
      });
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Dtypes, GoldenFocusedMemory, testing::Values(at::kFloat, at::kDouble),
                         [](const auto& info) { return std::string(c10::toString(info.param)); });

}  // namespace
}  // namespace longspan
