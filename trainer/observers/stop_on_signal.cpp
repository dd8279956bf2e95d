#include "trainer/observers/stop_on_signal.h"

#include "src/core/stop_signal.h"
#include "trainer/trainer.h"

namespace longspan {

void StopOnSignal::run_begins(Trainer&) {
  remember_stop_signals("\nstopping after this step; once more stops at once\n");
}

void StopOnSignal::step_ended(Trainer& trainer, StepRecord&) {
  if (stop_signal() != 0) trainer.stop();
}

void StopOnSignal::run_ended(Trainer&) { restore_stop_signals(); }

}  // namespace longspan
