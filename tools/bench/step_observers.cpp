#include "tools/bench/step_observers.h"

#include "src/core/log.h"
#include "tools/bench/timing.h"
#include "trainer/trainer.h"

namespace longspan {

void StepTimes::run_begins(Trainer&) { cpu_seconds_ = cpu_seconds_now(); }

void StepTimes::step_ended(Trainer&, StepRecord& record) {
  times_.seconds.push_back(record.step_seconds);
  times_.cpu_seconds.push_back(cpu_seconds_now() - cpu_seconds_);
  times_.losses.push_back(record.loss);
  times_.peak_memory_bytes = record.peak_memory_bytes;
  log_info("step {}: {:.2f} s, loss {:.4f}", record.step, record.step_seconds, record.loss);
  cpu_seconds_ = cpu_seconds_now();
}

void TraceOfLastStep::run_begins(Trainer& trainer) { begin_before_last(trainer); }

void TraceOfLastStep::step_ended(Trainer& trainer, StepRecord&) {
  if (trace_) trace_->save(file_);
  trace_.reset();
  begin_before_last(trainer);
}

void TraceOfLastStep::begin_before_last(const Trainer& trainer) {
  if (trainer.step() + 1 == total_steps(trainer.stages())) trace_.emplace(device_);
}

}  // namespace longspan
