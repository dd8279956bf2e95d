#include <algorithm>

#include "trainer/eval/passkey.h"
#include "trainer/eval/rows.h"
#include "trainer/eval/statistics.h"
#include "trainer/eval/tasks/retrieval_report.h"

namespace longspan {

namespace {

using PasskeyRows = ModelRows<PasskeyRow>;

/// A row of before there were scores of each trial says how many were right, and not which.
RetrievalWords passkey_words(const std::vector<PasskeyRows>& models) {
  RetrievalWords words{.scores = "Keys found", .depth = "depth of the key"};
  for (const auto& [label, rows] : models) {
    for (const auto& row : rows) {
      if (row.scores.empty()) words.knows_each_score = false;
    }
  }
  return words;
}

std::vector<RetrievalRows> retrieval_rows(const std::vector<PasskeyRows>& models) {
  std::vector<RetrievalRows> converted;
  for (const auto& [label, rows] : models) {
    RetrievalRows& model = converted.emplace_back(RetrievalRows{.label = label, .rows = {}});
    for (const auto& row : rows) {
      RetrievalRow& one = model.rows.emplace_back(RetrievalRow{.length = row.length,
                                                               .depth = row.depth,
                                                               .n = row.trials,
                                                               .score = row.accuracy(),
                                                               .answer_nll = row.answer_nll});
      one.token_accuracy = row.answer_token_accuracy;
      one.ranked = row.ranked;
      one.ranked_first = row.ranked_first;
      one.recall = row.recall;
      one.recalled = row.recall ? row.trials : 0;
      one.scores = row.scores;
      if (!one.scores.empty()) continue;
      one.scores.assign(row.trials, 0.0);
      std::fill_n(one.scores.begin(), row.correct, 1.0);
    }
  }
  return converted;
}

}  // namespace

Json PasskeyRow::write() const {
  Interval interval = wilson_interval(correct, trials);
  return {{"length", length},
          {"depth", depth},
          {"n", trials},
          {"score", accuracy()},
          {"low", interval.low},
          {"high", interval.high},
          {"trials", trials},
          {"correct", correct},
          {"accuracy", accuracy()},
          {"accuracy_low", interval.low},
          {"accuracy_high", interval.high},
          {"answer_nll", answer_nll},
          {"answer_token_accuracy", answer_token_accuracy},
          {"ranked", ranked},
          {"ranked_first", ranked_first},
          {"prompt_tokens", prompt_tokens},
          {"tokens_read", tokens_read},
          {"recall", recall ? Json(*recall) : Json(nullptr)},
          {"scores", scores},
          {"seconds", seconds}};
}

void PasskeyRow::read(Fields& fields) {
  fields.required("length", length);
  fields.in_range("length", length, 1, int64_t{1} << 40);
  fields.required("depth", depth);
  fields.in_range("depth", depth, 0, 1);
  fields.required("trials", trials);
  fields.in_range("trials", trials, 1, 1 << 20);
  fields.required("correct", correct);
  fields.in_range("correct", correct, 0, trials);
  fields.required("answer_nll", answer_nll);
  fields.required("answer_token_accuracy", answer_token_accuracy);
  fields.in_range("ranked", ranked, 0, trials);
  fields.in_range("ranked_first", ranked_first, 0, ranked);
  fields.optional("scores", scores);
  if (!scores.empty() && std::ssize(scores) != trials) {
    fields.error("scores", "has not a score for each of n trials");
  }
  fields.optional("prompt_tokens", prompt_tokens);
  fields.optional("tokens_read", tokens_read);
  if (fields.has("recall")) fields.required("recall", recall.emplace());
  fields.optional("seconds", seconds);
}

void Passkey::check_rows(const Json& rows, Diagnostics& diagnostics) const {
  read_rows<PasskeyRow>(rows, diagnostics);
}

std::vector<Table> Passkey::tables(const std::vector<LabelledRows>& models,
                                   size_t reference) const {
  const auto read = read_models<PasskeyRow>(models);
  return retrieval_tables(passkey_words(read), retrieval_rows(read), reference);
}

std::vector<Figure> Passkey::figures(const std::vector<LabelledRows>& models) const {
  const auto read = read_models<PasskeyRow>(models);
  return retrieval_figures(passkey_words(read), retrieval_rows(read));
}

}  // namespace longspan
