#include "trainer/loss.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cmath>

#include "src/attention/attention.h"
#include "tests/support/float32_bound.h"
#include "tests/support/masked_attention.h"
#include "tests/support/tiny_llama.h"

namespace longspan {
namespace {

Batch batch_of(int64_t rows, int64_t seq_len) {
  Batch batch;
  batch.rows = rows;
  batch.seq_len = seq_len;
  for (int64_t i = 0; i < rows * seq_len; ++i) {
    batch.input_ids.push_back(i * 7 % 61);
    batch.labels.push_back(i % 5 == 0 ? -100 : i * 11 % 61);
    batch.labelled_tokens += i % 5 != 0;
    batch.position_ids.push_back(i % seq_len);
    batch.document_ids.push_back(0);
  }
  return batch;
}

TEST(ModelInput, LeavesDocumentIdsOutWhereRowsAreDocuments) {
  Batch batch = batch_of(2, 6);
  EXPECT_FALSE(model_input(batch).document_ids.defined());
  batch.document_ids[5] = 1;
  EXPECT_TRUE(model_input(batch).document_ids.defined());
}

TEST(ModelInput, HasTheShapeOfTheBatchAndItsOwnMemory) {
  Batch batch = batch_of(2, 6);
  ModelInput input = model_input(batch);
  batch.input_ids.assign(12, 0);
  EXPECT_EQ(input.input_ids.sizes(), (at::IntArrayRef{2, 6}));
  EXPECT_EQ(input.input_ids[1][2].item<int64_t>(), 8 * 7 % 61);
  EXPECT_EQ(input.position_ids[1][2].item<int64_t>(), 2);
}

TEST(Loss, IsTheSumOfTheCrossEntropiesOfLabelledTokens) {
  auto model = random_model(tiny_llama_config());
  Batch batch = batch_of(2, 6);
  at::NoGradGuard no_gradients;
  at::Tensor logits =
      at::linear(model->hidden_states(model_input(batch)), model->lm_head_weight()).flatten(0, 1);
  at::Tensor log_probabilities = at::log_softmax(logits, 1);
  double expected = 0;
  for (int64_t i = 0; i < 12; ++i) {
    if (batch.labels[i] >= 0) expected -= log_probabilities[i][batch.labels[i]].item<double>();
  }
  for (int64_t chunk_tokens : {1, 5, 100}) {
    EXPECT_NEAR(loss_sum(*model, batch, chunk_tokens).item<double>(), expected,
                float32_bound(expected, terms_of_loss(model->config(), 6)));
  }
}

/// Two documents in the first row, one in the second.
Batch three_documents(int64_t seq_len) {
  Batch batch = batch_of(2, seq_len);
  for (int64_t i = seq_len / 3; i < seq_len; ++i) {
    batch.document_ids[i] = 1;
    batch.position_ids[i] = i - seq_len / 3;
  }
  return batch;
}

/// The loss of label `place` from the tokens of `begin` up to it, read as a text of their own.
double loss_after(CausalLm& model, const Batch& batch, int64_t begin, int64_t place) {
  at::NoGradGuard no_gradients;
  const auto ids = at::tensor(
      std::vector(batch.input_ids.begin() + begin, batch.input_ids.begin() + place + 1), at::kLong);
  const at::Tensor hidden = model.hidden_states({ids.unsqueeze(0), {}, {}}).squeeze(0);
  const at::Tensor logits =
      at::linear(hidden[-1].to(at::kDouble), model.lm_head_weight().to(at::kDouble));
  return -at::log_softmax(logits, 0)[batch.labels[place]].item<double>();
}

TEST(TokenLosses, AreThoseOfEachLabelFromItsOwnDocument) {
  auto model = random_model(tiny_llama_config());
  const Batch batch = three_documents(24);
  const at::Tensor losses = token_losses(*model, batch, 7);
  for (int64_t place = 0; place < 48; ++place) {
    const int64_t begin = place < 8 ? 0 : place < 24 ? 8 : 24;
    const bool is_label = batch.labels[place] >= 0;
    const double expected = is_label ? loss_after(*model, batch, begin, place) : 0;
    EXPECT_NEAR(losses[place].item<double>(), expected,
                float32_bound(5, terms_of_loss(model->config(), 24)))
        << place;
  }
}

// Without a document mask the whole row before a label predicts it.
TEST(TokenLosses, AreThoseOfEachLabelFromItsRowWithoutADocumentMask) {
  auto model = random_model(tiny_llama_config());
  Batch batch = three_documents(24);
  batch.document_mask = false;
  for (int64_t place = 0; place < 48; ++place) batch.position_ids[place] = place % 24;
  const at::Tensor losses = token_losses(*model, batch, 7);
  for (int64_t place = 0; place < 48; ++place) {
    if (batch.labels[place] < 0) continue;
    EXPECT_NEAR(losses[place].item<double>(), loss_after(*model, batch, place / 24 * 24, place),
                float32_bound(5, terms_of_loss(model->config(), 24)))
        << place;
  }
}

TEST(ModelInput, LetsTokensSeeWhatTheDenseDocumentMaskDoes) {
  at::manual_seed(5);
  Batch batch = three_documents(24);
  const auto full = make_attention_pattern("full");
  const Heads heads{at::randn({2, 9, 24, 8}, at::kDouble), at::randn({2, 3, 24, 8}, at::kDouble),
                    at::randn({2, 3, 24, 8}, at::kDouble)};
  const at::Tensor documents = at::tensor(batch.document_ids, at::kLong).view({2, 1, 24});
  const at::Tensor same = documents.unsqueeze(3).eq(documents.unsqueeze(2));
  const at::Tensor causal = at::ones({24, 24}, at::kBool).tril();
  for (const bool document_mask : {true, false}) {
    batch.document_mask = document_mask;
    const ModelInput input = model_input(batch);
    const Rotary rotary({unscaled_inv_freq({8, 10000.0, 64}), 1.0}, input.position_ids,
                        at::kDouble);
    const at::Tensor visible = document_mask ? same.logical_and(causal) : causal;
    const at::Tensor expected =
        masked_attention(rotary.rotate(heads.q), rotary.rotate(heads.k), heads.v, visible);
    const at::Tensor actual = full->attend(heads, {rotary, input.document_ids});
    EXPECT_LT((actual - expected).abs().max().item<double>(), 1e-12) << document_mask;
  }
}

// The definition of LongCE: with K = short_context and step S, token K + S m + j of a document
// (j < S) is predicted from the tokens from S m on.
TEST(ShortContextLosses, ReadEachLabelFromItsWindowAlone) {
  auto model = random_model(tiny_llama_config());
  const Batch batch = three_documents(24);
  const int64_t context = 4, step = 3;
  const at::Tensor losses = short_context_losses(*model, batch, {context, step}, 2);
  int64_t predicted = 0;
  for (int64_t place = 0; place < 48; ++place) {
    const int64_t document = place < 8 ? 0 : place < 24 ? 8 : 24;
    const int64_t token = place - document + 1;  // that is predicted
    const int64_t window = token >= context ? (token - context) / step : 0;
    if (window == 0) {
      EXPECT_TRUE(std::isnan(losses[place].item<double>())) << place;
    } else if (batch.labels[place] >= 0) {
      ++predicted;
      EXPECT_NEAR(losses[place].item<double>(),
                  loss_after(*model, batch, document + step * window, place),
                  float32_bound(5, terms_of_loss(model->config(), 7)))
          << place;
    }
  }
  EXPECT_GT(predicted, 20);
}

TEST(LongMinusShort, WeighsByTheLossThatTheFarContextSaves) {
  const at::Tensor short_losses = at::tensor({9.0F, std::nanf(""), 2.5F, 1.0F, 4.0F}),
                   losses = at::tensor({2.0F, 0.5F, 3.0F});
  const RowWeights weights = long_minus_short_weights(short_losses, 5);
  const at::Tensor first = weights(0, losses), last = weights(2, losses);
  EXPECT_EQ(first[0].item<float>(), 5);  // exp(7), cut
  EXPECT_EQ(first[1].item<float>(), 1);  // no short context
  EXPECT_NEAR(first[2].item<double>(), std::exp(-0.5), 1e-6);
  EXPECT_NEAR(last[0].item<double>(), std::exp(0.5), 1e-6);
  EXPECT_NEAR(last[1].item<double>(), std::exp(0.5), 1e-6);
  EXPECT_NEAR(last[2].item<double>(), std::exp(1.0), 1e-6);
}

}  // namespace
}  // namespace longspan
