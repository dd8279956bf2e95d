#pragma once

#include "trainer/observer.h"

namespace longspan {

/// SIGINT (Ctrl-C), SIGTERM or SIGHUP ends the run after the current step, so that it is saved; the
/// same signal once more, but for SIGHUP, ends the process at once. stop_signal() says which came.
class StopOnSignal : public Observer {
 public:
  void run_begins(Trainer& trainer) override;  // installs the handlers
  void step_ended(Trainer& trainer, StepRecord& record) override;
  void run_ended(Trainer& trainer) override;  // restores the defaults
};

}  // namespace longspan
