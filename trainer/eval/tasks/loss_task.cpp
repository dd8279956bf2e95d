#include "trainer/eval/tasks/loss_task.h"

#include <algorithm>

#include "src/core/stopwatch.h"
#include "trainer/eval/arms/arm.h"
#include "trainer/eval/finite_loss.h"
#include "trainer/eval/tasks/spread.h"

namespace longspan {

class LossTask::Drawn final : public DrawnTask {
 public:
  Drawn(const LossTask& task, const EvalSubject& subject, const std::vector<int64_t>& lengths)
      : DrawnTask(task), task_(task), lengths_(lengths), kept_{subject.model} {
    const int64_t bos = task.takes_bos() && subject.bos_token_id ? 1 : 0;
    const Extent extent = task.extent(std::ranges::max(lengths), bos);
    texts_ =
        read_texts(subject, task.text_, task.name(), extent.fewest, extent.kept, task.documents_);
    kept_.texts = texts_;
    kept_.lengths = lengths;
  }

 protected:
  /// The first documents.
  void thin(int64_t longest, double share) override {
    kept_.texts = std::span(texts_).first(spread_places(texts_.size(), share).size());
    kept_.lengths = lengths_;
    std::erase_if(kept_.lengths, [&](int64_t length) { return length > longest; });
  }

  TaskResult ask(const EvalSubject& subject) override {
    const Stopwatch stopwatch;
    TaskResult result = task_.score(subject, kept_);
    result.task = task_.name();
    const bool has_bos = task_.takes_bos() && subject.bos_token_id;
    result.protocol["bos_token_id"] = has_bos ? Json(*subject.bos_token_id) : Json(nullptr);
    result.protocol["documents"] = text_digests(kept_.texts);
    result.seconds = stopwatch.seconds();
    return result;
  }

 private:
  const LossTask& task_;
  std::vector<EvaluatedText> texts_;
  std::vector<int64_t> lengths_;
  Material kept_;
};

void LossTask::fields(FieldsIo& io) {
  io.texts("text", text_, "documents: files, folders, globs");
  io.whole("documents", documents_, {0, int64_t{1} << 40}, "the first so many that are long enough",
           {.otherwise = "all"});
}

std::vector<std::filesystem::path> LossTask::inputs() const { return text_files(text_); }

void LossTask::check(const EvalOptions&) const {
  if (!text_.empty()) return;
  fail(ExitCode::kUsage, "{}: no text given; name documents with --text FILE...", name());
}

std::unique_ptr<DrawnTask> LossTask::draw(const EvalSubject& subject,
                                          const EvalOptions& options) const {
  return std::make_unique<Drawn>(*this, subject, options.lengths);
}

std::vector<double> LossTask::losses(const EvalSubject& subject, const std::vector<int64_t>& ids,
                                     int64_t targets, std::string_view where) const {
  std::vector<double> nll = subject.arm->target_nll(subject, ids, targets);
  require_finite(nll, name(), where);
  return nll;
}

void LossTask::check_rows(const Json& rows, Diagnostics& diagnostics) const {
  read_rows<LossRow>(rows, diagnostics);
}

std::vector<Table> LossTask::tables(const std::vector<LabelledRows>& models,
                                    size_t reference) const {
  const auto curves = read_models<LossRow>(models);
  return loss_tables(words(curves.at(reference).rows.at(0)), curves, reference);
}

std::vector<Figure> LossTask::figures(const std::vector<LabelledRows>& models) const {
  const auto curves = read_models<LossRow>(models);
  return loss_figures(words(curves.at(0).rows.at(0)), curves);
}

}  // namespace longspan
