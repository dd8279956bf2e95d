#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "trainer/eval/eval_task.h"
#include "trainer/eval/loss_report.h"
#include "trainer/eval/tasks/evaluated_text.h"

namespace longspan {

/// A task of losses: reads documents, scores some of their tokens by the arm, and shows curves. A
/// task of this kind says how much it reads and what it scores.
class LossTask : public EvalTask {
 public:
  /// text and documents; a task adds its own.
  void fields(FieldsIo& io) override;
  std::vector<std::filesystem::path> inputs() const override;
  /// Refuses to be without text; a task adds its own.
  void check(const EvalOptions& options) const override;
  bool scores_plain_text() const override { return true; }
  /// Documents that are too short are left out with a warning; when none is long enough
  /// Error(kData) names the longest.
  std::unique_ptr<DrawnTask> draw(const EvalSubject& subject,
                                  const EvalOptions& options) const override;
  void check_rows(const Json& rows, Diagnostics& diagnostics) const override;
  std::vector<Table> tables(const std::vector<LabelledRows>& models,
                            size_t reference) const override;
  std::vector<Figure> figures(const std::vector<LabelledRows>& models) const override;

 protected:
  /// Tokens of a document without BOS: those without which it is left out, and those that are kept
  /// of it, 0 for all.
  struct Extent {
    int64_t fewest = 0, kept = 0;
  };
  /// For lengths up to `longest`, of which `bos` tokens are a BOS.
  virtual Extent extent(int64_t longest, int64_t bos) const {
    return {longest - bos, longest - bos};
  }

  /// What one arm after the other reads.
  struct Material {
    CausalLm& model;  // of all arms that have none of their own
    std::span<const EvaluatedText> texts = {};
    std::vector<int64_t> lengths = {};  // ascending
    Json notes = Json::object();        // what the task found by one arm and needs for the next
  };
  /// The rows, and what the protocol says besides the documents and the BOS.
  virtual TaskResult score(const EvalSubject& subject, Material& material) const = 0;
  virtual bool takes_bos() const { return true; }
  /// `row` is one of those to be shown.
  virtual LossWords words(const LossRow& row) const = 0;

  /// What the arm makes of the last `targets` of ids. Error(kNonFinite) says `where` a loss is not
  /// finite.
  std::vector<double> losses(const EvalSubject& subject, const std::vector<int64_t>& ids,
                             int64_t targets, std::string_view where) const;

 private:
  class Drawn;

  std::vector<std::string> text_;
  int64_t documents_ = 0;
};

}  // namespace longspan
