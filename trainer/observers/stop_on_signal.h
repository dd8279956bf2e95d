#pragma once

#include "trainer/observer.h"

namespace longspan {

/// SIGINT (Ctrl-C) or SIGTERM ends the run after the current step, so that it is saved; the same
/// signal once more ends the process at once.
class StopOnSignal : public Observer {
 public:
  void run_begins(Trainer& trainer) override;  // installs the handlers
  void step_ended(Trainer& trainer, StepRecord& record) override;
  void run_ended(Trainer& trainer) override;  // restores the defaults

  /// The signal that came, or 0.
  static int received();
};

}  // namespace longspan
