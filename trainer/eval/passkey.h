#pragma once

#include <string>
#include <vector>

#include "trainer/eval/eval_task.h"

namespace longspan {

/// One length and depth of one model.
struct PasskeyRow {
  int64_t length = 0;
  double depth = 0;
  int64_t trials = 0;
  int64_t correct = 0;
  double answer_nll = 0;             // nats a token, right answer fed; mean over trials
  double answer_token_accuracy = 0;  // of the same pass
  int64_t ranked = 0;                // keys that were ranked among wrong ones
  int64_t ranked_first = 0;          // those that have the least loss a token
  double prompt_tokens = 0;          // mean over trials
  double tokens_read = 0;            // of them, by the arm's model
  std::optional<double> recall{};    // mean over trials, of an arm that cuts
  double seconds = 0;
  /// Of each trial, 0 or 1; none in a result of an older version.
  std::vector<double> scores{};

  double accuracy() const { return static_cast<double>(correct) / static_cast<double>(trials); }
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

 private:
  class Drawn;

  void check_depths(FieldsIo& io) const;
  Json protocol(const EvalSubject& subject) const;

  std::vector<double> depths_{0, 0.25, 0.5, 0.75, 1};
  int64_t trials_ = 3;
  int64_t seed_ = 0;
};

}  // namespace longspan
