#include "trainer/eval/tasks/item_task.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <map>

#include "src/core/digest.h"
#include "src/core/stopwatch.h"
#include "trainer/eval/arms/answer_json.h"
#include "trainer/eval/finite_loss.h"
#include "trainer/eval/tasks/spread.h"

namespace longspan {

namespace {

RetrievalRow& row_for(std::vector<RetrievalRow>& rows, int64_t length, const Question& question) {
  const auto known = std::find_if(rows.begin(), rows.end(), [&](const auto& row) {
    return row.length == length && row.subset == question.subset && row.depth == question.depth;
  });
  if (known != rows.end()) return *known;
  return rows.emplace_back(
      RetrievalRow{.subset = question.subset, .length = length, .depth = question.depth});
}

struct LengthItem {
  int64_t length;
  DrawnItem item;
  std::vector<size_t> asked = {};  // of its questions

  void ask(const EvalSubject& subject, std::string_view task,
           std::vector<RetrievalRow>& rows) const {
    if (asked.empty()) return;
    const auto reading = subject.arm->read_passage(subject, item.passage, length);
    for (const size_t place : asked) {
      const Question& question = item.questions[place];
      const Stopwatch stopwatch;
      const Answer answer = reading->ask(question);
      require_finite(answer.nll, task, fmt::format("at length {}", length));
      RetrievalRow& row = row_for(rows, length, question);
      row.add(answer, score_answer(question, answer));
      row.seconds += stopwatch.seconds();
    }
  }
};

}  // namespace

class ItemTask::Drawn final : public DrawnTask {
 public:
  Drawn(const ItemTask& task, const EvalSubject& subject, const std::vector<int64_t>& lengths)
      : DrawnTask(task), task_(task), lengths_(lengths) {
    task.draw_items(subject, lengths, [&](int64_t length, DrawnItem item) {
      items_.push_back({length, std::move(item)});
    });
    thin(std::numeric_limits<int64_t>::max(), 1);
  }

 protected:
  /// Items of a length that nobody chose, as cloze has, stay.
  void thin(int64_t longest, double share) override {
    std::map<std::pair<int64_t, std::string>, std::vector<LengthItem*>> kinds;
    for (LengthItem& item : items_) {
      item.asked.clear();
      const bool is_chosen = std::ranges::find(lengths_, item.length) != lengths_.end();
      if ((is_chosen && item.length > longest) || item.item.questions.empty()) continue;
      kinds[{item.length, item.item.questions[0].subset}].push_back(&item);
    }
    for (const auto& [kind, items] : kinds) {
      for (const size_t place : spread_places(items.size(), share)) {
        LengthItem& item = *items[place];
        item.asked = spread_parts(item.item.questions.size(), items.size(), share);
      }
    }
  }

  TaskResult ask(const EvalSubject& subject) override {
    const Stopwatch whole;
    TaskResult result{.task = std::string(task_.name()), .protocol = task_.write()};
    result.protocol.update(task_.rules());
    result.protocol["interval"] = "Wilson, 95 %";
    result.protocol["decoding"] = "greedy";
    result.protocol["answer_nll"] = "nats a token of the right answer when it is fed";
    result.protocol["bos_token_id"] =
        subject.bos_token_id ? Json(*subject.bos_token_id) : Json(nullptr);
    result.protocol["tokenizer_fingerprint"] = subject.tokenizer.fingerprint();
    result.protocol["items_digest"] = digest_of([](const Item& item) { return write_item(item); });
    result.protocol["scoring_digest"] =
        digest_of([](const Item& item) { return write_scoring(item.question); });

    std::vector<RetrievalRow> rows;
    for (const LengthItem& item : items_) item.ask(subject, task_.name(), rows);
    for (const auto& row : rows) result.rows.push_back(row.write());
    result.seconds = whole.seconds();
    return result;
  }

 private:
  /// Of all that is asked: files that have changed under the same name give another one.
  std::string digest_of(const std::function<Json(const Item&)>& written) const {
    Digest digest;
    for (const LengthItem& item : items_) {
      for (const size_t place : item.asked) {
        digest.update(json_line(written({item.item.passage, item.item.questions[place]})));
      }
    }
    return digest.hex().substr(0, 16);
  }

  const ItemTask& task_;
  std::vector<int64_t> lengths_;
  std::vector<LengthItem> items_;
};

std::unique_ptr<DrawnTask> ItemTask::draw(const EvalSubject& subject,
                                          const EvalOptions& options) const {
  return std::make_unique<Drawn>(*this, subject, options.lengths);
}

void ItemTask::check_rows(const Json& rows, Diagnostics& diagnostics) const {
  read_rows<RetrievalRow>(rows, diagnostics);
}

std::vector<Table> ItemTask::tables(const std::vector<LabelledRows>& models,
                                    size_t reference) const {
  return retrieval_tables(names_.words, read_models<RetrievalRow>(models), reference);
}

std::vector<Figure> ItemTask::figures(const std::vector<LabelledRows>& models) const {
  return retrieval_figures(names_.words, read_models<RetrievalRow>(models));
}

EffectiveLengths ItemTask::effective_lengths(const std::vector<LabelledRows>& models) const {
  return longspan::effective_lengths(names_.words, read_models<RetrievalRow>(models));
}

}  // namespace longspan
