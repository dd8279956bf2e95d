#include "trainer/loss.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/log_softmax.h>
#include <gtest/gtest.h>

#include "tests/support/float32_bound.h"
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

}  // namespace
}  // namespace longspan
