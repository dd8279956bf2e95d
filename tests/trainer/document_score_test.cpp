#include "trainer/document_score.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cmath>

#include "data/store/token_store_writer.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_llama.h"

namespace longspan {
namespace {

/// The loss in float64 of the last of `ids`, read as a text of their own.
double loss_of_last(CausalLm& model, std::vector<int64_t> ids) {
  const int64_t last = ids.back();
  ids.pop_back();
  const at::Tensor input = at::tensor(ids, at::kLong).unsqueeze(0);
  const at::Tensor hidden = model.hidden_states({input, {}, {}}).squeeze(0)[-1].to(at::kDouble);
  const at::Tensor logits = at::linear(hidden, model.lm_head_weight().to(at::kDouble));
  return -at::log_softmax(logits, 0)[last].item<double>();
}

/// A store of one document of 40 tokens, of which the first half are labels where `half` is.
std::unique_ptr<TokenStore> one_document(const std::filesystem::path& path, bool half) {
  std::vector<int32_t> ids;
  for (int i = 0; i < 40; ++i) ids.push_back((i * i + 3 * i) % 61);
  std::vector<uint8_t> labels(40, 1);
  for (size_t i = 20; half && i < 40; ++i) labels[i] = 0;
  {
    TokenStoreWriter writer(path, "tiny", 61);
    writer.append("document", ids, labels);
    writer.commit();
  }
  return std::make_unique<TokenStore>(path);
}

// The formula, token by token: passages of 16 places, a short context of 4 tokens, windows 3 apart.
TEST(DocumentScore, IsTheMeanOfTheGainTimesTheProbability) {
  at::NoGradGuard no_gradients;
  TemporaryFolder folder;
  auto model = random_model(tiny_llama_config());
  const DocumentScoreOptions options{.length = 16, .short_context = {.tokens = 4, .step = 3}};
  for (bool half : {false, true}) {
    const auto store = one_document(folder.path() / (half ? "half.h5" : "all.h5"), half);
    const auto all = store->read(0, 40);
    double sum = 0;
    int64_t predicted = 0, with_far = 0;
    for (int64_t begin = 0; begin < 39; begin += 16) {
      for (int64_t token = 1; token <= 16 && begin + token < 40; ++token) {
        if (half && begin + token >= 20) continue;
        ++predicted;
        const int64_t window = token >= 4 ? (token - 4) / 3 * 3 : 0;
        if (window == 0) continue;
        ++with_far;
        const auto loss_from = [&](int64_t first) {
          return loss_of_last(*model,
                              {all.begin() + begin + first, all.begin() + begin + token + 1});
        };
        const double loss = loss_from(0);
        sum += std::exp(-loss) * (loss_from(window) - loss);
      }
    }
    const DocumentScore found = score_document(*model, *store, store->documents().front(), options);
    EXPECT_EQ(found.predicted, predicted);
    EXPECT_EQ(found.with_far, with_far);
    EXPECT_NEAR(found.score, sum / static_cast<double>(predicted), 1e-6) << half;
    EXPECT_GT(std::abs(found.score), 1e-4);
  }
}

TEST(DocumentScore, ReadsSomePassagesSpreadOverTheDocument) {
  TemporaryFolder folder;
  auto model = random_model(tiny_llama_config());
  const auto store = one_document(folder.path() / "t.h5", false);
  const auto predicted = [&](int64_t passages) {
    return score_document(*model, *store, store->documents().front(),
                          {.length = 8, .short_context = {2, 1}, .passages = passages})
        .predicted;
  };
  EXPECT_EQ(predicted(0), 39);
  EXPECT_EQ(predicted(2), 16);
  EXPECT_EQ(predicted(9), 39);
}

TEST(DocumentScore, OfADocumentWithoutFarContextIs0) {
  TemporaryFolder folder;
  auto model = random_model(tiny_llama_config());
  const auto store = one_document(folder.path() / "t.h5", false);
  const DocumentScore found = score_document(*model, *store, store->documents().front(),
                                             {.length = 64, .short_context = {30, 30}});
  EXPECT_EQ(found.score, 0);
  EXPECT_EQ(found.with_far, 0);
  EXPECT_EQ(found.predicted, 39);
}

TEST(DocumentScore, OfAModelWithoutLossesIsNone) {
  TemporaryFolder folder;
  auto model = random_model(tiny_llama_config());
  at::NoGradGuard no_gradients;
  model->visit_parameters(
      "", [](const std::string&, at::Tensor& parameter) { parameter.fill_(std::nan("")); });
  const auto store = one_document(folder.path() / "t.h5", false);
  const DocumentScore found = score_document(*model, *store, store->documents().front(),
                                             {.length = 16, .short_context = {4, 3}});
  EXPECT_TRUE(std::isnan(found.score));
}

}  // namespace
}  // namespace longspan
