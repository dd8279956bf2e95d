#pragma once

#include <string>
#include <vector>

#include "trainer/eval/eval_task.h"

namespace longspan {

/// Loss by position: one pass over the first tokens of each document, its losses in buckets that
/// double. Where the model leaves the lengths it is at home with, its curve bends up.
class PositionLoss : public EvalTask {
 public:
  std::string_view name() const override { return "position_loss"; }
  std::string_view title() const override { return "Loss by position"; }
  /// text: documents; documents: the first so many that have the longest length, 0 for all. Only
  /// the longest of the lengths is read.
  void read(Fields& fields) override;
  Json write() const override;
  std::vector<std::filesystem::path> inputs() const override;
  void check(const EvalOptions& options) const override;
  bool scores_plain_text() const override { return true; }
  bool scores_every_token() const override { return true; }
  TaskResult run(const EvalSubject& subject, const EvalOptions& options) const override;
  void check_rows(const Json& rows, Diagnostics& diagnostics) const override;
  std::vector<Table> tables(const std::vector<LabelledRows>& models,
                            size_t reference) const override;
  std::vector<Figure> figures(const std::vector<LabelledRows>& models) const override;

 private:
  std::vector<std::string> text_;
  int64_t documents_ = 0;
};

/// Positions [begin, end).
struct PositionBucket {
  int64_t begin = 0, end = 0;

  bool operator==(const PositionBucket&) const = default;
};

/// 1-64, 64-256, 256-512, 512-1024, then twice as far each, the last up to `length`. Position 0 has
/// nothing before it and is not scored.
std::vector<PositionBucket> position_buckets(int64_t length);

}  // namespace longspan
