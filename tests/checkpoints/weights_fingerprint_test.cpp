#include "checkpoints/weights_fingerprint.h"

#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "tests/checkpoints/model_folder.h"
#include "tests/checkpoints/temporary_folder.h"

namespace longspan {
namespace {

std::string fingerprint_of(
    const ModelConfig& config, int64_t seed,
    const std::function<void(const std::string&, at::Tensor&)>& change = {}) {
  at::NoGradGuard no_gradients;
  TemporaryFolder folder;
  auto model = random_model(config, seed);
  if (change) model->visit_parameters("", change);
  write_model_folder(folder.path("model"), *model);
  return weights_fingerprint(*open_model_source(folder.path("model")));
}

TEST(WeightsFingerprint, IsThatOfTheWeightsAndNotOfTheFiles) {
  const ModelConfig config = tiny_llama_config();
  const std::string first = fingerprint_of(config, 1);
  EXPECT_EQ(first.size(), 64u);
  EXPECT_EQ(fingerprint_of(config, 1), first);
  EXPECT_NE(fingerprint_of(config, 2), first);
}

TEST(WeightsFingerprint, ChangesWithEachTensor) {
  const ModelConfig config = tiny_llama_config();
  const std::string before = fingerprint_of(config, 1);
  std::vector<std::string> names;
  random_model(config)->visit_parameters(
      "", [&](const std::string& name, at::Tensor&) { names.push_back(name); });
  for (const std::string& changed : names) {
    EXPECT_NE(fingerprint_of(config, 1,
                             [&](const std::string& name, at::Tensor& parameter) {
                               if (name == changed) parameter.mul_(1.001);
                             }),
              before)
        << changed;
  }
}

TEST(WeightsFingerprint, SamplesLargeTensorsFromTheFirstByteToTheLast) {
  ModelConfig config = tiny_llama_config();
  config.vocab_size = 4000;  // 576,000 bytes of embeddings
  const std::string before = fingerprint_of(config, 1);
  const auto with = [&](int64_t row) {
    return fingerprint_of(config, 1, [&](const std::string& name, at::Tensor& parameter) {
      if (name == "model.embed_tokens.weight") parameter[row].fill_(1);
    });
  };
  EXPECT_NE(with(0), before);
  EXPECT_NE(with(3999), before);
  EXPECT_EQ(with(100), before);  // between two runs
}

}  // namespace
}  // namespace longspan
