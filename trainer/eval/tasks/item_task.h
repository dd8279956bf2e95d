#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "trainer/eval/eval_task.h"
#include "trainer/eval/tasks/item.h"
#include "trainer/eval/tasks/retrieval_report.h"

namespace longspan {

/// A task of items: draws them for each length, puts them to the arm, scores the answers and shows
/// them. A task of this kind says what it draws.
class ItemTask : public EvalTask {
 public:
  bool needs_cache() const override { return true; }
  std::unique_ptr<DrawnTask> draw(const EvalSubject& subject,
                                  const EvalOptions& options) const override;
  void check_rows(const Json& rows, Diagnostics& diagnostics) const override;
  std::vector<Table> tables(const std::vector<LabelledRows>& models,
                            size_t reference) const override;
  std::vector<Figure> figures(const std::vector<LabelledRows>& models) const override;

  using Use = std::function<void(int64_t length, DrawnItem item)>;
  /// Hands over each item of each length: the same for every model with this tokenizer. Throws what
  /// EvalTask::draw() may.
  virtual void draw_items(const EvalSubject& subject, const std::vector<int64_t>& lengths,
                          const Use& use) const = 0;

 protected:
  /// "rule" and what else one must know to compare; it is added to the keys of write(), and
  /// replaces those that say where files lie.
  virtual Json rules() const = 0;
  virtual RetrievalWords words() const = 0;

 private:
  class Drawn;
};

}  // namespace longspan
