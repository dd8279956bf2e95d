#include <algorithm>

#include "trainer/eval/passkey.h"
#include "trainer/eval/rows.h"
#include "trainer/eval/statistics.h"
#include "trainer/eval/tasks/retrieval_report.h"

namespace longspan {

namespace {

using PasskeyRows = ModelRows<PasskeyRow>;

constexpr int64_t kMostTrials = 1 << 20;

RetrievalWords passkey_words(const std::vector<PasskeyRows>& models) {
  RetrievalWords words{.scores = "Keys found", .depth = "depth of the key"};
  for (const auto& [label, rows] : models) {
    for (const auto& row : rows) {
      if (!row.knows_scores) words.knows_each_score = false;
    }
  }
  return words;
}

std::vector<RetrievalRows> retrieval_rows(const std::vector<PasskeyRows>& models) {
  std::vector<RetrievalRows> converted;
  for (const auto& [label, rows] : models) {
    RetrievalRows& model = converted.emplace_back(RetrievalRows{.label = label, .rows = {}});
    for (const auto& row : rows) model.rows.push_back(row.cell);
  }
  return converted;
}

}  // namespace

Json PasskeyRow::write() const {
  const int64_t correct = std::ranges::count(cell.scores, 1.0);
  const Interval interval = wilson_interval(static_cast<double>(correct), cell.n);
  Json json = {{"length", cell.length},
               {"depth", cell.depth ? Json(*cell.depth) : Json(nullptr)},
               {"n", cell.n},
               {"score", cell.score},
               {"low", interval.low},
               {"high", interval.high},
               {"trials", cell.n},
               {"correct", correct},
               {"accuracy", cell.score},
               {"accuracy_low", interval.low},
               {"accuracy_high", interval.high},
               {"answer_nll", cell.answer_nll},
               {"answer_token_accuracy", cell.token_accuracy},
               {"ranked", cell.ranked},
               {"ranked_first", cell.ranked_first}};
  if (cell.choice_nll) json["choice_nll"] = *cell.choice_nll;
  json["prompt_tokens"] = prompt_tokens;
  json["tokens_read"] = cell.tokens_read;
  json["recall"] = cell.recall ? Json(*cell.recall) : Json(nullptr);
  json["scores"] = cell.scores;
  json["seconds"] = cell.seconds;
  return json;
}

void PasskeyRow::read(Fields& fields) {
  fields.required("length", cell.length);
  fields.in_range("length", cell.length, 1, int64_t{1} << 40);
  fields.required("depth", cell.depth.emplace());
  fields.in_range("depth", *cell.depth, 0, 1);
  fields.required("trials", cell.n);
  fields.in_range("trials", cell.n, 1, kMostTrials);
  int64_t correct = 0;
  fields.required("correct", correct);
  fields.in_range("correct", correct, 0, cell.n);
  cell.score = static_cast<double>(correct) / static_cast<double>(cell.n);
  fields.required("answer_nll", cell.answer_nll);
  fields.required("answer_token_accuracy", cell.token_accuracy);
  fields.in_range("ranked", cell.ranked, 0, cell.n);
  fields.in_range("ranked_first", cell.ranked_first, 0, cell.ranked);
  if (fields.has("choice_nll")) fields.required("choice_nll", cell.choice_nll.emplace());
  fields.optional("prompt_tokens", prompt_tokens);
  fields.optional("tokens_read", cell.tokens_read);
  if (fields.has("recall")) {
    fields.required("recall", cell.recall.emplace());
    cell.recalled = cell.n;
  }
  fields.optional("seconds", cell.seconds);
  fields.optional("scores", cell.scores);
  knows_scores = !cell.scores.empty();
  if (!knows_scores) {  // how many were right is known, and not which
    const int64_t trials = std::clamp<int64_t>(cell.n, 0, kMostTrials);
    cell.scores.assign(static_cast<size_t>(trials), 0.0);
    std::fill_n(cell.scores.begin(), std::clamp<int64_t>(correct, 0, trials), 1.0);
  } else if (std::ssize(cell.scores) != cell.n) {
    fields.error("scores", "has not a score for each of n trials");
  }
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

EffectiveLengths Passkey::effective_lengths(const std::vector<LabelledRows>& models) const {
  const auto read = read_models<PasskeyRow>(models);
  return longspan::effective_lengths(passkey_words(read), retrieval_rows(read));
}

}  // namespace longspan
