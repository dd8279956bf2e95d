#include "trainer/loss_weights.h"

#include <gmock/gmock.h>

#include <cmath>

namespace longspan {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::FloatNear;
using testing::Pointwise;

const LossOptions kExact{.weights = "effective_context", .alpha = 0.5, .gamma = 0.5, .tail = 4};

TEST(ContextWeights, FollowTheFormulaInTheTailAlone) {
  // Contexts 0 1 | 2 3 | 4 to 7 | 8 to 15; in the tail 12 and 4 tokens: shares 3/4 and 1/4.
  const double common = 1 / std::sqrt(0.75 + 1e-6), rare = 1 / std::sqrt(0.25 + 1e-6);
  const double average = (common + rare) / 2;
  EXPECT_THAT(context_weights(kExact, 64, {100, 50, 12, 4}),
              Pointwise(DoubleNear(1e-12), std::vector<double>{1, 1, 1 + 0.5 * common / average,
                                                               1 + 0.5 * rare / average}));
}

TEST(ContextWeights, BeginTheTailAtAQuarterOfTheRow) {
  LossOptions options = kExact;
  options.tail = 0;
  options.gamma = 0;
  EXPECT_THAT(context_weights(options, 32, {1, 1, 1, 1, 1}), ElementsAre(1, 1, 1, 1.5, 1.5));
  options.tail = 5;  // the first bucket that begins there or later
  EXPECT_THAT(context_weights(options, 32, {1, 1, 1, 1, 1}), ElementsAre(1, 1, 1, 1.5, 1.5));
}

TEST(ContextWeights, LeaveOutBucketsWithoutTokens) {
  EXPECT_THAT(context_weights(kExact, 64, {9, 9, 4, 0, 4}), ElementsAre(1, 1, 1.5, 1, 1.5));
  EXPECT_THAT(context_weights(kExact, 64, {9, 9}), ElementsAre(1, 1));
}

TEST(TokenWeights, CountContextFromTheStartOfEachDocumentAndRow) {
  Batch batch;
  batch.rows = 2;
  batch.seq_len = 5;
  batch.document_ids = {0, 0, 0, 1, 1, 0, 0, 0, 0, 0};
  EXPECT_THAT(token_weights(batch, {1, 2, 3}),
              Pointwise(FloatNear(0), std::vector<float>{1, 1, 2, 1, 1, 1, 1, 2, 2, 3}));
}

}  // namespace
}  // namespace longspan
