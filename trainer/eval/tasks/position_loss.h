#pragma once

#include <vector>

#include "trainer/eval/tasks/loss_task.h"

namespace longspan {

/// Loss by position: one reading of the first tokens of each document, its losses in buckets that
/// double. Where the model leaves the lengths it is at home with, its curve bends up. Only the
/// longest of the lengths is read.
class PositionLoss : public LossTask {
 public:
  std::string_view name() const override { return "position_loss"; }
  std::string_view title() const override { return "Loss by position"; }
  bool scores_every_token() const override { return true; }

 protected:
  TaskResult score(const EvalSubject& subject, Material& material) const override;
  LossWords words(const LossRow& row) const override;
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
