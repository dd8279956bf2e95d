#include <algorithm>

#include "trainer/eval/passkey.h"
#include "trainer/eval/rows.h"
#include "trainer/eval/statistics.h"
#include "trainer/eval/tasks/retrieval_report.h"

namespace longspan {

namespace {

/// A row of before there were scores of each question says how many were right, and not which.
constexpr RetrievalWords kPasskeyWords{
    .scores = "Keys found", .depth = "depth of the key", .knows_each_score = false};

std::vector<RetrievalRows> retrieval_rows(const std::vector<LabelledRows>& models) {
  std::vector<RetrievalRows> converted;
  for (const auto& [label, rows] : read_models<PasskeyRow>(models)) {
    RetrievalRows& model = converted.emplace_back(RetrievalRows{.label = label, .rows = {}});
    for (const auto& row : rows) {
      RetrievalRow& one = model.rows.emplace_back(RetrievalRow{.length = row.length,
                                                               .depth = row.depth,
                                                               .n = row.trials,
                                                               .score = row.accuracy(),
                                                               .answer_nll = row.answer_nll});
      one.token_accuracy = row.answer_token_accuracy;
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
          {"prompt_tokens", prompt_tokens},
          {"tokens_read", tokens_read},
          {"recall", recall ? Json(*recall) : Json(nullptr)},
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
  return retrieval_tables(kPasskeyWords, retrieval_rows(models), reference);
}

std::vector<Figure> Passkey::figures(const std::vector<LabelledRows>& models) const {
  return retrieval_figures(kPasskeyWords, retrieval_rows(models));
}

}  // namespace longspan
