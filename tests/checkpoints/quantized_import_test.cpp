#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <map>

#include "checkpoints/hf/hf_importer.h"
#include "checkpoints/model_source.h"
#include "src/model/apply_lora.h"
#include "tests/checkpoints/model_folder.h"
#include "tests/support/temporary_folder.h"

namespace longspan {
namespace {

/// A LLaMA whose projections all fall into NF4's blocks.
ModelConfig config() {
  ModelConfig config = tiny_llama_config();
  config.hidden_size = 64;
  config.num_attention_heads = 8;
  config.num_key_value_heads = 2;
  config.head_dim = 8;
  config.intermediate_size = 96;
  return config;
}

class QuantizedImport : public testing::TestWithParam<std::tuple<Quantization, at::ScalarType>> {
 protected:
  void SetUp() override { write_model_folder(folder_.path(), *random_model(config())); }

  at::ScalarType dtype() const { return std::get<1>(GetParam()); }

  std::unique_ptr<CausalLm> quantized() const {
    return import_model(*open_model_source(folder_.path()),
                        {.dtype = dtype(), .quantization = std::get<0>(GetParam())});
  }

  /// Dense, with the weights that dequantisation gives.
  std::unique_ptr<CausalLm> dequantized() const {
    auto model = import_model(*open_model_source(folder_.path()), {.dtype = dtype()});
    model->visit_linears([&](const std::string&, std::unique_ptr<Linear>& linear) {
      linear->weight = quantize_weight(linear->weight, std::get<0>(GetParam()))->dequantize();
    });
    return model;
  }

  TemporaryFolder folder_;
};

TEST_P(QuantizedImport, GivesTheLogitsOfTheDequantisedWeightsExactly) {
  at::Tensor logits = logits_of(*quantized());
  EXPECT_TRUE(logits.equal(logits_of(*dequantized())));
  auto dense = import_model(*open_model_source(folder_.path()), {.dtype = dtype()});
  EXPECT_FALSE(logits.equal(logits_of(*dense)));
}

TEST_P(QuantizedImport, GivesTheirGradientsExactly) {
  std::map<std::string, at::Tensor> gradients;
  for (bool dense : {false, true}) {
    auto model = dense ? dequantized() : quantized();
    at::manual_seed(3);
    apply_lora(*model, {});
    at::Tensor ids = at::arange(24, at::kLong).unsqueeze(0);
    model->hidden_states({ids, {}, {}}).to(at::kFloat).square().sum().backward();
    model->visit_parameters("", [&](const std::string& name, at::Tensor& parameter) {
      if (!parameter.requires_grad()) return;
      ASSERT_TRUE(parameter.grad().defined()) << name;
      if (!dense) {
        gradients[name] = parameter.grad();
        return;
      }
      EXPECT_TRUE(gradients.at(name).equal(parameter.grad())) << name;
    });
  }
  EXPECT_GT(gradients.size(), 8u);
}

TEST_P(QuantizedImport, LeavesAllButTheProjectionsDense) {
  auto model = quantized();
  size_t projections = 0;
  model->visit_linears([&](const std::string& name, std::unique_ptr<Linear>& linear) {
    EXPECT_TRUE(linear->quantized) << name;
    EXPECT_FALSE(linear->weight.defined()) << name;
    ++projections;
  });
  EXPECT_EQ(projections, 14u);
  auto dense = import_model(*open_model_source(folder_.path()), {.dtype = dtype()});
  std::map<std::string, at::Tensor> expected;
  dense->visit_parameters(
      "", [&](const std::string& name, at::Tensor& parameter) { expected[name] = parameter; });
  size_t others = 0;
  model->visit_parameters("", [&](const std::string& name, at::Tensor& parameter) {
    EXPECT_TRUE(parameter.equal(expected.at(name))) << name;
    ++others;
  });
  EXPECT_EQ(others, 6u);  // embeddings and 5 norms
}

INSTANTIATE_TEST_SUITE_P(KindsAndDtypes, QuantizedImport,
                         testing::Combine(testing::Values(Quantization::kNf4, Quantization::kInt8),
                                          testing::Values(at::kFloat, at::kBFloat16)),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param) == Quantization::kNf4
                                                  ? "Nf4"
                                                  : "Int8") +
                                  c10::toString(std::get<1>(info.param));
                         });

}  // namespace
}  // namespace longspan
