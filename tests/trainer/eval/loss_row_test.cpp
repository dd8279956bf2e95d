#include "trainer/eval/loss_row.h"

#include <gmock/gmock.h>

namespace longspan {
namespace {

/// Student's t of one degree of freedom is 12.71: 2 ± 12.71 x 0.5, of which a loss has no values
/// below 0.
TEST(LossRow, HasNoIntervalBelowZero) {
  const Json two = loss_row(1024, 2.0, {1.5, 2.5}, {.nll_sum = 4, .tokens = 2, .bytes = 8}).write();
  EXPECT_EQ(two["low"], 0.0);
  EXPECT_NEAR(two["high"].get<double>(), 8.353, 1e-3);

  const Json one = loss_row(1024, 2.0, {2.0}, {.nll_sum = 2, .tokens = 1, .bytes = 4}).write();
  EXPECT_TRUE(one["low"].is_null());
}

/// One long document and a short one: the interval is that of the mean shown, not of (1 + 3) / 2.
TEST(LossRow, HasTheIntervalOfTheMeanByWeight) {
  const LossRow row =
      loss_row(1024, 2.5, {1, 3}, {.nll_sum = 10, .tokens = 4, .bytes = 16}, {1, 3});
  EXPECT_DOUBLE_EQ(*row.nll_standard_error, 0.75);
  const Json json = row.write();
  EXPECT_NEAR(json["high"].get<double>(), 2.5 + 12.706 * 0.75, 1e-3);
  EXPECT_EQ(json["document_weights"], Json({1, 3}));
}

/// Their mean would be no number.
TEST(LossRow, RefusesDocumentsWithoutWeight) {
  Json json =
      loss_row(1024, 2.5, {1, 3}, {.nll_sum = 10, .tokens = 4, .bytes = 16}, {1, 3}).write();
  json["document_weights"] = {1, 0};
  Diagnostics diagnostics;
  Fields fields(json, diagnostics);
  LossRow().read(fields);
  EXPECT_THAT(diagnostics.errors(), testing::ElementsAre(testing::HasSubstr("document_weights")));
}

TEST(LossRow, SurvivesJson) {
  LossRow row{.length = 4096,
              .nll = 3.25,
              .nll_standard_error = 0.125,
              .ppl = 25.79,
              .bits_per_byte = 1.1,
              .tokens_scored = 1024,
              .document_nll = {3.125, 3.375},
              .document_weights = {100, 300},
              .seconds = 2};
  Diagnostics diagnostics;
  Json json = row.write();
  LossRow read;
  Fields fields(json, diagnostics);
  read.read(fields);
  EXPECT_TRUE(diagnostics.empty());
  EXPECT_EQ(read.write(), json);
}

}  // namespace
}  // namespace longspan
