#pragma once

#include <functional>
#include <string>
#include <vector>

#include "src/core/stopwatch.h"
#include "trainer/eval/eval_work.h"

namespace longspan {

/// How far a whole evaluation has come, and how long other work takes: by its FLOPs at the rate of
/// its kind (task, arm and length), else of its task and arm, of its arm, or of all that was
/// measured.
class EvalProgress {
 public:
  explicit EvalProgress(std::vector<EvalWork> work);

  /// An item of the kind is done, which took so many seconds, now or when the journal got it.
  void done(const std::string& task, const std::string& arm, int64_t length, double seconds);
  int64_t items() const;
  int64_t items_done() const;
  /// 0 where nothing was measured yet.
  double seconds_of(const EvalWork& work) const;
  double seconds_left() const;
  /// "34 of 120 items, passkey by full at 16K; 2 min 10 s, about 5 min 20 s to go"
  std::string line() const;

 private:
  struct Kind {
    EvalWork work;
    int64_t done = 0;
    double seconds = 0;  // of those done

    double flops_done() const;
  };

  Kind* kind_of(const std::string& task, const std::string& arm, int64_t length);
  double seconds_per_flop(const std::function<bool(const EvalWork&)>& is_alike) const;

  std::vector<Kind> kinds_;
  size_t latest_ = 0;
  Stopwatch stopwatch_;
};

}  // namespace longspan
