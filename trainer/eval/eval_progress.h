#pragma once

#include <vector>

#include "src/core/stopwatch.h"
#include "trainer/eval/eval_work.h"

namespace longspan {

/// How far a whole evaluation has come, and how long the rest takes: what is of a kind that was
/// measured already takes as long again, other work by its FLOPs at the rate so far.
class EvalProgress {
 public:
  explicit EvalProgress(std::vector<EvalWork> work);

  /// An item of the kind is done, in so many seconds; 0 where the journal had it.
  void done(const std::string& task, const std::string& arm, int64_t length, double seconds);
  int64_t items() const;
  int64_t items_done() const;
  double seconds_left() const;
  /// "34 of 120 questions, passkey by full at 16K; 2 min 10 s, about 5 min 20 s to go"
  std::string line() const;

 private:
  struct Kind {
    EvalWork work;
    int64_t done = 0, measured = 0;
    double seconds = 0;
  };

  Kind* kind_of(const std::string& task, const std::string& arm, int64_t length);

  std::vector<Kind> kinds_;
  size_t latest_ = 0;
  Stopwatch stopwatch_;
};

}  // namespace longspan
