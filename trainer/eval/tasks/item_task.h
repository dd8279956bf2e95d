#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "trainer/eval/eval_task.h"
#include "trainer/eval/tasks/item.h"
#include "trainer/eval/tasks/retrieval_report.h"

namespace longspan {

/// What results and pages call a task and its scores.
struct ItemTaskNames {
  std::string_view name, title;
  RetrievalWords words;
};

/// A task of items: draws them for each length, puts them to the arm, scores the answers and shows
/// them. A task of this kind says what it draws.
class ItemTask : public EvalTask {
 public:
  std::string_view name() const final { return names_.name; }
  std::string_view title() const final { return names_.title; }
  bool needs_cache() const override { return true; }
  std::unique_ptr<DrawnTask> draw(const EvalSubject& subject,
                                  const EvalOptions& options) const override;
  void check_rows(const Json& rows, Diagnostics& diagnostics) const override;
  std::vector<Table> tables(const std::vector<LabelledRows>& models,
                            size_t reference) const override;
  std::vector<Figure> figures(const std::vector<LabelledRows>& models) const override;
  EffectiveLengths effective_lengths(const std::vector<LabelledRows>& models) const override;

  using Use = std::function<void(int64_t length, DrawnItem item)>;
  /// Hands over each item of each length: the same for every model with this tokenizer. Throws what
  /// EvalTask::draw() may.
  virtual void draw_items(const EvalSubject& subject, const std::vector<int64_t>& lengths,
                          const Use& use) const = 0;

 protected:
  explicit ItemTask(const ItemTaskNames& names) : names_(names) {}
  /// "rule" and what else one must know to compare; it is added to the keys of write(), and
  /// replaces those that say where files lie.
  virtual Json rules() const = 0;

 private:
  class Drawn;

  ItemTaskNames names_;
};

}  // namespace longspan
