#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/core/fields.h"
#include "src/core/json.h"
#include "trainer/eval/effective_length.h"
#include "trainer/eval/eval_subject.h"
#include "trainer/eval/settable.h"
#include "trainer/figures/svg_chart.h"
#include "trainer/figures/table.h"

namespace longspan {

/// What is asked of every task; read() takes what is asked of one.
struct EvalOptions {
  std::vector<int64_t> lengths{4096, 8192};  // tokens, BOS included
};

/// What a task found: a list of JSON objects, one a row, under the rules of `protocol`. Rows of
/// two results may be compared when their protocols are equal.
struct TaskResult {
  std::string task;
  Json protocol = Json::object();
  Json rows = Json::array();
  double seconds = 0;
};

/// The rows of one model among those compared, or of one of its arms.
struct LabelledRows {
  // "trained"; of several arms "trained: retrieval", and "retrieval" of one result alone.
  std::string label;
  Json rows;
  std::string result = {};  // the label of the result that they are of
};

class EvalTask;

/// What a task asks, drawn once and put to every arm.
class DrawnTask {
 public:
  explicit DrawnTask(const EvalTask& task) : task_(task) {}
  virtual ~DrawnTask() = default;
  const EvalTask& task() const { return task_; }

  /// From now on asks nothing at lengths above `longest`, and of the rest about this share, from 0
  /// to 1, but at least something of each kind at every length: less time, wider intervals. Another
  /// call takes the place of this one. A share below 1 becomes a part of the protocol.
  void keep(int64_t longest, double share) {
    share_ = share;
    thin(longest, share);
  }
  /// Has the subject's arm read. A loss that is not finite throws Error(kNonFinite).
  TaskResult run(const EvalSubject& subject) {
    TaskResult result = ask(subject);
    if (share_ < 1) result.protocol["share"] = share_;
    return result;
  }

 protected:
  virtual void thin(int64_t longest, double share) = 0;
  virtual TaskResult ask(const EvalSubject& subject) = 0;

 private:
  const EvalTask& task_;
  double share_ = 1;
};

/// One thing to measure of a model with a long context, and how to show it. A new task is a file
/// and a line in eval_task.cpp. Most are one of two kinds, which leave little to write: ItemTask
/// (tasks/item_task.h) asks questions about texts, LossTask (tasks/loss_task.h) scores texts.
class EvalTask : public Settable {
 public:
  virtual std::string_view title() const = 0;  // the heading of its part of a report
  /// The files that draw() reads, besides the model's.
  virtual std::vector<std::filesystem::path> inputs() const { return {}; }
  /// Throws Error(kUsage) for options that no model could be run with.
  virtual void check(const EvalOptions& options) const { (void)options; }
  /// Whether the model is to read on from what it has read, with its keys and values kept.
  virtual bool needs_cache() const { return false; }
  /// Whether it scores a text without asking anything: an arm may need a question (arms/arm.h).
  virtual bool scores_plain_text() const { return false; }
  /// Whether its items say where the answer stands, or it stands there word for word.
  virtual bool names_evidence() const { return true; }
  /// Whether what it scores is all of a text or nearly all, so that no arm can leave out a part.
  virtual bool scores_every_token() const { return false; }
  /// Whether what follows the right answer can cost it its score: an arm may not know it.
  virtual bool judges_whole_answers() const { return false; }

  /// What is asked at these lengths, with options that check() lets pass: by the seed and the
  /// tokenizer alone. Lengths that do not suit the tokenizer throw Error(kUsage), unsuitable texts
  /// Error(kData). The task must outlive it, as must the subject's model and tokenizer.
  virtual std::unique_ptr<DrawnTask> draw(const EvalSubject& subject,
                                          const EvalOptions& options) const = 0;
  /// Draws and has the subject's arm read.
  TaskResult run(const EvalSubject& subject, const EvalOptions& options) const {
    return draw(subject, options)->run(subject);
  }

  /// Reports rows of a file that tables() and figures() could not read.
  virtual void check_rows(const Json& rows, Diagnostics& diagnostics) const = 0;
  /// The models side by side; differences are to models[reference].
  virtual std::vector<Table> tables(const std::vector<LabelledRows>& models,
                                    size_t reference) const = 0;
  virtual std::vector<Figure> figures(const std::vector<LabelledRows>& models) const = 0;
  /// By the task's own rule, of rows of at least two lengths; nothing of other rows and tasks.
  virtual EffectiveLengths effective_lengths(const std::vector<LabelledRows>& models) const {
    (void)models;
    return {};
  }
};

std::vector<std::string> eval_tasks();
/// "passkey.trials=3": each key of each task with its default.
std::vector<std::string> eval_task_keys();
/// nullptr when there is no task of that name.
std::unique_ptr<EvalTask> make_eval_task(std::string_view name);

}  // namespace longspan
