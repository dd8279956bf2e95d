#include "trainer/eval/tasks/retrieval_row.h"

#include <gtest/gtest.h>

#include "src/core/fields.h"
#include "trainer/eval/arms/arm.h"

namespace longspan {
namespace {

/// Recall is the mean over the questions that have evidence, wherever they stand among the others.
TEST(RetrievalRow, MeansRecallOverTheQuestionsWithEvidence) {
  RetrievalRow none, some;
  none.length = some.length = 512;
  for (int i = 0; i < 6; ++i) none.add({}, 1);
  some.add({}, 0);
  some.add({}, 0);
  some.add({.recall = 1.0}, 1);
  some.add({.recall = 0.5}, 0);
  EXPECT_EQ(some.recall, 0.75);
  EXPECT_EQ(some.recalled, 2);

  const RetrievalRow all = pooled({none, some});
  EXPECT_EQ(all.n, 10);
  EXPECT_EQ(all.recall, 0.75);
  EXPECT_EQ(all.recalled, 2);
  EXPECT_FALSE(pooled({none}).recall.has_value());
}

/// As recall is, over the questions with distractors.
TEST(RetrievalRow, MeansChoicesOverTheQuestionsWithDistractors) {
  RetrievalRow none, some;
  none.add({}, 1);
  some.add({.rank = 1, .choice_nll = 1.0}, 1);
  some.add({}, 0);
  some.add({.rank = 2, .choice_nll = 4.0}, 0);
  EXPECT_EQ(some.choice_nll, 2.5);
  EXPECT_EQ(pooled({none, some}).choice_nll, 2.5);
  RetrievalRow more;
  more.add({.rank = 1, .choice_nll = 1.0}, 1);
  EXPECT_DOUBLE_EQ(*pooled({some, more}).choice_nll, 2);
  EXPECT_FALSE(none.choice_nll);
  EXPECT_FALSE(none.write().contains("choice_nll"));
}

TEST(RetrievalRow, IsReadAsWritten) {
  RetrievalRow row;
  row.length = 512;
  row.add({.rank = 1, .choice_nll = 0.25, .recall = 0.5}, 1);
  row.add({}, 0);
  const Json json = row.write();
  Diagnostics diagnostics;
  Fields fields(json, diagnostics);
  RetrievalRow read;
  read.read(fields);
  EXPECT_TRUE(diagnostics.errors().empty());
  EXPECT_EQ(read.write(), json);
}

}  // namespace
}  // namespace longspan
