#pragma once

#include <string>
#include <vector>

#include "trainer/eval/eval_task.h"
#include "trainer/eval/tasks/retrieval_row.h"

namespace longspan {

/// One length and depth of one model, under the names that results have had from the first version
/// on.
struct PasskeyRow {
  RetrievalRow cell{};
  double prompt_tokens = 0;  // mean over trials
  bool knows_scores = true;  // of each trial; false in a result of an older version

  Json write() const;
  void read(Fields& fields);
};

/// Passkey retrieval over lengths and depths: greedy exact match, and what exact match hides in a
/// small model: loss and accuracy of the answer's tokens when the right ones are fed, and whether
/// the key has less loss than nine wrong ones.
class Passkey : public EvalTask {
 public:
  std::string_view name() const override { return "passkey"; }
  std::string_view title() const override { return "Passkey retrieval"; }
  void fields(FieldsIo& io) override;
  bool needs_cache() const override { return true; }
  std::unique_ptr<DrawnTask> draw(const EvalSubject& subject,
                                  const EvalOptions& options) const override;
  void check_rows(const Json& rows, Diagnostics& diagnostics) const override;
  std::vector<Table> tables(const std::vector<LabelledRows>& models,
                            size_t reference) const override;
  std::vector<Figure> figures(const std::vector<LabelledRows>& models) const override;
  EffectiveLengths effective_lengths(const std::vector<LabelledRows>& models) const override;

 private:
  class Drawn;

  void check_depths(FieldsIo& io) const;
  Json protocol(const EvalSubject& subject) const;

  std::vector<double> depths_{0, 0.25, 0.5, 0.75, 1};
  int64_t trials_ = 3;
  int64_t seed_ = 0;
};

}  // namespace longspan
