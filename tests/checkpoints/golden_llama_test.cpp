// What transformers and PEFT compute (tests/reference/make_tiny_llama.py), computed by us.

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/matmul.h>
#include <gtest/gtest.h>

#include <set>

#include "checkpoints/adapters/adapted_model.h"
#include "checkpoints/adapters/peft_adapter.h"
#include "checkpoints/model_source.h"
#include "src/nn/chunked_cross_entropy.h"
#include "tests/support/float32_bound.h"
#include "tests/support/largest.h"
#include "tests/support/places.h"

namespace longspan {
namespace {

const std::filesystem::path kFolder = reference_folder() / "tiny_llama";

class GoldenLlama : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    model_ = import_adapted_model(*open_model_source(kFolder),
                                  read_peft_adapter(kFolder / "adapter"), {.dtype = at::kFloat});
    Json options{{"pattern", GetParam()}};
    if (GetParam() == "shifted_sparse") options["group_size"] = 16;
    Diagnostics diagnostics;
    model_->set_attention(read_attention_pattern(Fields(options, diagnostics)));
    diagnostics.throw_if_any(ExitCode::kFailure);
  }

  at::Tensor golden(const std::string& name) const {
    return golden_.tensor(GetParam() + "." + name);
  }

  double bound(const at::Tensor& expected) const {
    return float32_bound(expected, terms_of_logits(model_->config(), input_ids_.size(1)));
  }

  std::unique_ptr<CausalLm> model_;
  SafetensorsReader golden_{kFolder / "golden.safetensors"};
  at::Tensor input_ids_ = golden_.tensor("input_ids");
};

TEST_P(GoldenLlama, GivesTheLogitsOfTransformersAndPeft) {
  at::NoGradGuard no_gradients;
  at::Tensor hidden = model_->hidden_states({input_ids_, {}, {}});
  at::Tensor logits = at::matmul(hidden, model_->lm_head_weight().t());
  EXPECT_LT(largest(logits - golden("logits")), bound(golden("logits")));
}

TEST_P(GoldenLlama, GivesTheirLossAndEveryGradient) {
  for (const ActivationOptions& activations :
       {ActivationOptions{},
        {.recompute = {.what = Recompute::kSelective}},
        {.recompute = {.what = Recompute::kSelective}, .chunk_tokens = 20}}) {
    model_->set_activations(activations);
    at::Tensor hidden = model_->hidden_states({input_ids_, {}, {}});
    at::Tensor labels = input_ids_.roll(-1, 1);
    labels.select(1, labels.size(1) - 1).fill_(kIgnoreIndex);
    at::Tensor loss = chunked_cross_entropy_sum(hidden.flatten(0, 1), model_->lm_head_weight(),
                                                labels.flatten(), 20) /
                      labels.ne(kIgnoreIndex).sum();
    loss.backward();
    EXPECT_NEAR(loss.item<float>(), golden("loss").item<float>(), bound(golden("loss")));

    std::set<std::string> compared;
    model_->visit_parameters("", [&](const std::string& name, at::Tensor& parameter) {
      if (!parameter.requires_grad()) return;
      at::Tensor expected = golden("grad." + name);
      EXPECT_LT(largest(parameter.grad() - expected),
                float32_bound(expected, terms_of_gradients(model_->config(), input_ids_.numel())))
          << name;
      compared.insert(GetParam() + ".grad." + name);
      parameter.mutable_grad().reset();
    });
    for (const auto& info : golden_.tensors()) {
      bool ours = info.name.starts_with(GetParam() + ".grad.");
      EXPECT_TRUE(!ours || compared.contains(info.name)) << info.name << " was not trained";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Patterns, GoldenLlama, testing::Values("full", "shifted_sparse"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace longspan
