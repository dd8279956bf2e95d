#pragma once

#include <functional>

#include "trainer/eval/arms/arm.h"
#include "trainer/eval/eval_task.h"

namespace longspan {

/// An item that a task asks, in the order of asking.
struct AskedItem {
  std::string task = {};
  int64_t length = 0;
  bool begins_passage = true;  // false: a further question to the passage before
  int64_t new_tokens = 0;      // that may be generated
  Json line;                   // of --items-out: {task, length, seed, context, question, ...}
  // Of a text without a question, whose last tokens are scored.
  std::vector<int64_t> ids = {};
  int64_t scored_tokens = 0;
};

/// Reads nothing: hears what a task asks and answers it rightly. So it is known before anything is
/// read how much there is to do.
class DrawingArm : public Arm {
 public:
  DrawingArm(const EvalTask& task, std::function<void(const AskedItem&)> on_item);

  std::string_view name() const override { return "drawing"; }
  bool reads() const override { return false; }
  std::vector<double> target_nll(const EvalSubject& subject, const std::vector<int64_t>& ids,
                                 int64_t targets) override;
  std::unique_ptr<Reading> read_passage(const EvalSubject& subject, const Passage& passage,
                                        int64_t length) override;
  double flops(CausalLm&, int64_t, int64_t) const override { return 0; }
  int64_t kv_bytes(CausalLm&, int64_t) const override { return 0; }

 private:
  class DrawingReading;

  /// Hands over what is asked, with what `asked.line` has of its own.
  void hear(AskedItem asked) const;

  std::string task_;
  Json seed_;  // of the task; null where it has none
  std::function<void(const AskedItem&)> on_item_;
};

}  // namespace longspan
