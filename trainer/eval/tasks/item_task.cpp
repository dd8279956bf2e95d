#include "trainer/eval/tasks/item_task.h"

#include <algorithm>
#include <cmath>

#include "src/core/stopwatch.h"

namespace longspan {

namespace {

RetrievalRow& row_for(std::vector<RetrievalRow>& rows, int64_t length,
                      const ScoredQuestion& question) {
  const auto known = std::find_if(rows.begin(), rows.end(), [&](const auto& row) {
    return row.length == length && row.subset == question.subset && row.depth == question.depth;
  });
  if (known != rows.end()) return *known;
  return rows.emplace_back(
      RetrievalRow{.subset = question.subset, .length = length, .depth = question.depth});
}

void ask_all(const EvalSubject& subject, std::string_view task, int64_t length,
             const DrawnItem& item, std::vector<RetrievalRow>& rows) {
  const auto reading = subject.arm->read_passage(subject, item.passage, length);
  for (const auto& question : item.questions) {
    const Stopwatch stopwatch;
    const Answer answer = reading->ask(question.question);
    if (!std::isfinite(answer.nll)) {
      fail(ExitCode::kNonFinite,
           "{}: the loss at length {} is not finite; try --dtype float32, or look at the model "
           "with 'longspan inspect'",
           task, length);
    }
    RetrievalRow& row = row_for(rows, length, question);
    row.add(answer, score_answer(question, answer));
    row.seconds += stopwatch.seconds();
  }
}

}  // namespace

TaskResult ItemTask::run(const EvalSubject& subject, const EvalOptions& options) const {
  const Stopwatch whole;
  TaskResult result{.task = std::string(name()), .protocol = write()};
  result.protocol.update(rules());
  result.protocol["interval"] = "Wilson, 95 %";
  result.protocol["decoding"] = "greedy";
  result.protocol["answer_nll"] = "nats a token of the right answer when it is fed";
  result.protocol["bos_token_id"] =
      subject.bos_token_id ? Json(*subject.bos_token_id) : Json(nullptr);
  result.protocol["tokenizer_fingerprint"] = subject.tokenizer.fingerprint();

  std::vector<RetrievalRow> rows;
  draw(subject, options.lengths, [&](int64_t length, const DrawnItem& item) {
    ask_all(subject, name(), length, item, rows);
  });
  for (const auto& row : rows) result.rows.push_back(row.write());
  result.seconds = whole.seconds();
  return result;
}

void ItemTask::check_rows(const Json& rows, Diagnostics& diagnostics) const {
  read_rows<RetrievalRow>(rows, diagnostics);
}

std::vector<Table> ItemTask::tables(const std::vector<LabelledRows>& models,
                                    size_t reference) const {
  return retrieval_tables(words(), read_models<RetrievalRow>(models), reference);
}

std::vector<Figure> ItemTask::figures(const std::vector<LabelledRows>& models) const {
  return retrieval_figures(words(), read_models<RetrievalRow>(models));
}

}  // namespace longspan
