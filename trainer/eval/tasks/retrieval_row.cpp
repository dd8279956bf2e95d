#include "trainer/eval/tasks/retrieval_row.h"

#include <algorithm>

#include "trainer/eval/arms/arm.h"

namespace longspan {

namespace {

/// The mean of n values, of which the last is `value` and the others have the mean `mean`.
double mean_with(double mean, double value, int64_t n) {
  return mean + (value - mean) / static_cast<double>(n);
}

}  // namespace

void RetrievalRow::add(const Answer& answer, double its_score) {
  ++n;
  score = mean_with(score, its_score, n);
  answer_nll = mean_with(answer_nll, answer.nll, n);
  token_accuracy = mean_with(token_accuracy, answer.token_accuracy, n);
  tokens_read = mean_with(tokens_read, static_cast<double>(answer.tokens_read), n);
  if (answer.recall) recall = mean_with(recall.value_or(0), *answer.recall, ++recalled);
  if (answer.rank) {
    ++ranked;
    ranked_first += *answer.rank == 1 ? 1 : 0;
  }
  if (answer.choice_nll) choice_nll = mean_with(choice_nll.value_or(0), *answer.choice_nll, ranked);
  scores.push_back(its_score);
}

Interval RetrievalRow::interval() const {
  return wilson_interval(score * static_cast<double>(n), n);
}

Json RetrievalRow::write() const {
  const Interval between = interval();
  Json json;
  if (!subset.empty()) json["subset"] = subset;
  json["length"] = length;
  json["depth"] = depth ? Json(*depth) : Json(nullptr);
  json["n"] = n;
  json["correct"] = std::count(scores.begin(), scores.end(), 1.0);
  json["score"] = score;
  json["low"] = between.low;
  json["high"] = between.high;
  json["answer_nll"] = answer_nll;
  json["token_accuracy"] = token_accuracy;
  json["ranked"] = ranked;
  json["ranked_first"] = ranked_first;
  if (choice_nll) json["choice_nll"] = *choice_nll;
  if (recall) {
    json["recalled"] = recalled;
    json["recall"] = *recall;
  }
  json["tokens_read"] = tokens_read;
  json["scores"] = scores;
  json["seconds"] = seconds;
  return json;
}

void RetrievalRow::read(Fields& fields) {
  fields.optional("subset", subset);
  fields.required("length", length);
  fields.in_range("length", length, 1, int64_t{1} << 40);
  if (fields.has("depth")) fields.in_range("depth", depth.emplace(), 0, 1);
  fields.required("n", n);
  fields.in_range("n", n, 1, int64_t{1} << 40);
  fields.required("score", score);
  fields.in_range("score", score, 0, 1);
  fields.required("answer_nll", answer_nll);
  fields.required("token_accuracy", token_accuracy);
  fields.in_range("ranked", ranked, 0, n);
  fields.in_range("ranked_first", ranked_first, 0, ranked);
  if (fields.has("choice_nll")) fields.required("choice_nll", choice_nll.emplace());
  if (fields.has("recall")) {
    recalled = n;
    fields.in_range("recalled", recalled, 1, n);
    fields.in_range("recall", recall.emplace(), 0, 1);
  }
  fields.optional("tokens_read", tokens_read);
  fields.required("scores", scores);
  if (std::ssize(scores) != n) fields.error("scores", "has not a score for each of n questions");
  fields.optional("seconds", seconds);
}

RetrievalRow pooled(const std::vector<RetrievalRow>& rows) {
  RetrievalRow all{.subset = rows.front().subset, .length = rows.front().length};
  for (const auto& row : rows) {
    all.n += row.n;
    all.ranked += row.ranked;
    all.ranked_first += row.ranked_first;
    all.recalled += row.recalled;
    all.seconds += row.seconds;
    all.scores.insert(all.scores.end(), row.scores.begin(), row.scores.end());
  }
  for (const auto& row : rows) {
    const double share = static_cast<double>(row.n) / static_cast<double>(all.n);
    all.score += share * row.score;
    all.answer_nll += share * row.answer_nll;
    all.token_accuracy += share * row.token_accuracy;
    all.tokens_read += share * row.tokens_read;
    if (row.choice_nll) {
      all.choice_nll = all.choice_nll.value_or(0) + *row.choice_nll *
                                                        static_cast<double>(row.ranked) /
                                                        static_cast<double>(all.ranked);
    }
    if (!row.recall) continue;
    all.recall = all.recall.value_or(0) + *row.recall * static_cast<double>(row.recalled) /
                                              static_cast<double>(all.recalled);
  }
  return all;
}

}  // namespace longspan
