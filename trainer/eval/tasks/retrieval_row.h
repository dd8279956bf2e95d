#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "src/core/fields.h"
#include "trainer/eval/statistics.h"

namespace longspan {

struct Answer;

/// The questions of one length, depth and subset.
struct RetrievalRow {
  std::string subset{};  // of a task that asks several kinds of question, else ""
  int64_t length = 0;
  std::optional<double> depth{};  // 0 to 1; none where the answer stands in no one place
  int64_t n = 0;
  double score = 0;           // mean, 0 to 1
  double answer_nll = 0;      // nats a token with the right answer fed; mean over questions
  double token_accuracy = 0;  // of the same pass
  int64_t ranked = 0;         // questions with distractors
  int64_t ranked_first = 0;   // those whose right answer has the least loss
  std::optional<double> choice_nll{};  // Answer::choice_nll, mean over those with distractors
  int64_t recalled = 0;                // questions with evidence, read by an arm that shortens
  std::optional<double> recall{};      // the share of their evidence that was read; mean over them
  double tokens_read = 0;              // mean
  double seconds = 0;
  /// Of each question, in the order drawn: two arms or models were asked the same.
  std::vector<double> scores{};

  void add(const Answer& answer, double its_score);
  /// Wilson, 95 %, of score x n successes: exact for scores of 0 and 1, and wide enough for those
  /// between, whose variance is no larger.
  Interval interval() const;
  Json write() const;
  void read(Fields& fields);
};

/// The rows as one: means over all questions, their scores one after another. At least one row.
RetrievalRow pooled(const std::vector<RetrievalRow>& rows);

}  // namespace longspan
