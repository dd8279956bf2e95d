// What transformers computes for each family (tests/reference/make_tiny_families.py), computed by
// us. tests/end_to_end/families_test.py has the wider matrix of RoPE scalings and lengths.

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <gtest/gtest.h>

#include "checkpoints/hf/hf_config.h"
#include "checkpoints/hf/hf_importer.h"
#include "checkpoints/model_source.h"
#include "src/model/family.h"
#include "src/model/generate.h"
#include "src/nn/chunked_cross_entropy.h"
#include "tests/support/float32_bound.h"
#include "tests/support/places.h"

namespace longspan {
namespace {

at::Tensor logits_of(const CausalLm& model, const at::Tensor& hidden) {
  return at::matmul(hidden, model.lm_head_weight().t()).to(at::kFloat);
}

class GoldenFamily : public testing::TestWithParam<std::string> {
 protected:
  std::unique_ptr<CausalLm> model(at::ScalarType dtype = at::kFloat) const {
    return import_model(*open_model_source(folder_), {.dtype = dtype});
  }

  /// Of what a forward pass over the golden ids gives.
  double bound(const at::Tensor& expected) const {
    return float32_bound(expected, terms_of_logits(config_, input_ids_.size(1)));
  }
  double gradient_bound(const at::Tensor& expected) const {
    return float32_bound(expected, terms_of_gradients(config_, input_ids_.numel()));
  }

  std::filesystem::path folder_ = reference_folder() / "families" / GetParam();
  ModelConfig config_ = read_hf_config(*open_model_source(folder_));
  SafetensorsReader golden_{folder_ / "golden.safetensors"};
  at::Tensor input_ids_ = golden_.tensor("input_ids");
};

TEST_P(GoldenFamily, GivesTheLogitsOfTransformers) {
  at::NoGradGuard no_gradients;
  auto model = this->model();
  at::Tensor logits = logits_of(*model, model->hidden_states({input_ids_, {}, {}}));
  EXPECT_LT(largest(logits - golden_.tensor("logits")), bound(golden_.tensor("logits")));

  auto rounded = this->model(at::kBFloat16);
  at::Tensor in_bfloat16 = logits_of(*rounded, rounded->hidden_states({input_ids_, {}, {}}));
  auto rounding = [&](const at::Tensor& logits) {
    return (logits - golden_.tensor("logits")).abs().mean().item<double>();
  };
  at::Tensor theirs = golden_.tensor("bfloat16.logits").to(at::kFloat);
  EXPECT_LT(rounding(in_bfloat16), 1.2 * rounding(theirs));
}

TEST_P(GoldenFamily, GivesTheLossAndEveryGradient) {
  for (const ActivationOptions& activations :
       {ActivationOptions{},
        {.recompute = {.what = Recompute::kSelective}},
        {.recompute = {.what = Recompute::kSelective}, .chunk_tokens = 20}}) {
    auto model = this->model();
    model->set_activations(activations);
    model->visit_parameters("", [](const std::string&, at::Tensor& parameter) {
      parameter = parameter.clone().requires_grad_(true);
    });
    at::Tensor hidden = model->hidden_states({input_ids_, {}, {}});
    at::Tensor labels = input_ids_.roll(-1, 1);
    labels.select(1, labels.size(1) - 1).fill_(kIgnoreIndex);
    at::Tensor loss = chunked_cross_entropy_sum(hidden.flatten(0, 1), model->lm_head_weight(),
                                                labels.flatten(), 20) /
                      labels.ne(kIgnoreIndex).sum();
    loss.backward();
    EXPECT_NEAR(loss.item<float>(), golden_.tensor("loss").item<float>(),
                bound(golden_.tensor("loss")));
    size_t gradients = 0;
    model->visit_parameters("", [&](const std::string& name, at::Tensor& parameter) {
      at::Tensor expected = golden_.tensor("grad." + name);
      EXPECT_LT(largest(parameter.grad() - expected), gradient_bound(expected)) << name;
      ++gradients;
    });
    EXPECT_EQ(gradients + 5, golden_.tensors().size());  // the rest is no gradient
  }
}

TEST_P(GoldenFamily, KeepsPackedDocumentsApartAsTransformersDoes) {
  at::NoGradGuard no_gradients;
  auto model = this->model();
  std::vector<at::Tensor> positions, documents;
  int64_t begin = 0;
  for (int64_t end : {int64_t{17}, int64_t{30}, input_ids_.size(1)}) {
    positions.push_back(at::arange(end - begin, at::kLong));
    documents.push_back(at::full({end - begin}, begin, at::kLong));
    begin = end;
  }
  at::Tensor hidden = model->hidden_states(
      {input_ids_, at::cat(positions).unsqueeze(0), at::cat(documents).unsqueeze(0)});
  at::Tensor expected = golden_.tensor("packed.logits");
  EXPECT_LT(largest(logits_of(*model, hidden) - expected), bound(expected));
}

TEST_P(GoldenFamily, ReadsInPartsWhatItReadsAtOnce) {
  at::NoGradGuard no_gradients;
  auto model = this->model();
  std::vector<int64_t> ids(input_ids_.const_data_ptr<int64_t>(),
                           input_ids_.const_data_ptr<int64_t>() + input_ids_.numel());
  for (int64_t chunk : {7, 48}) {
    ModelState state;
    at::Tensor hidden = prefill(*model, ids, state, chunk);
    at::Tensor last = logits_of(*model, hidden).squeeze(0);
    EXPECT_LT(largest(last - golden_.tensor("logits")[0][-1]), bound(golden_.tensor("logits")))
        << chunk;
  }
}

TEST_P(GoldenFamily, GeneratesFromTheCacheAsWithoutIt) {
  at::NoGradGuard no_gradients;
  auto model = this->model();
  ModelState state;  // LongRoPE's turn to the long factors is on the way, at 33
  for (int64_t tokens = 1; tokens <= input_ids_.size(1); ++tokens) {
    at::Tensor next = model->hidden_states({input_ids_.narrow(1, tokens - 1, 1), {}, {}}, &state);
    at::Tensor whole = model->hidden_states({input_ids_.narrow(1, 0, tokens), {}, {}});
    EXPECT_LT(largest(next.select(1, 0) - whole.select(1, tokens - 1)), bound(whole)) << tokens;
  }
  EXPECT_EQ(state.length(), input_ids_.size(1));
}

/// Those that transformers has; for LongLLaMA see golden_longllama_test.cpp.
std::vector<std::string> families_of_transformers() {
  auto families = model_types();
  std::erase(families, "longllama");
  return families;
}

INSTANTIATE_TEST_SUITE_P(Families, GoldenFamily, testing::ValuesIn(families_of_transformers()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace longspan
