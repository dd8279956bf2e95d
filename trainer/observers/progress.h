#pragma once

#include "trainer/observer.h"

namespace longspan {

/// A line a step for people, redrawn on a terminal: step, loss, learning rate, gradient norm,
/// tokens/s, peak memory, ETA.
class Progress : public Observer {
 public:
  void run_begins(Trainer& trainer) override;
  void step_ended(Trainer& trainer, StepRecord& record) override;
  void run_ended(Trainer& trainer) override;

 private:
  double seconds_ = 0, flops_ = 0;  // of the steps of this process
  int64_t first_step_ = 0;
};

}  // namespace longspan
