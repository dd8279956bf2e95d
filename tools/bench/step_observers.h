#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "tools/bench/kineto_trace.h"
#include "trainer/observer.h"

namespace longspan {

/// Keeps what the steps report.
class StepTimes : public Observer {
 public:
  struct Times {
    std::vector<double> seconds, cpu_seconds, losses;
    int64_t peak_memory_bytes = 0;
  };
  explicit StepTimes(Times& times) : times_(times) {}
  void run_begins(Trainer&) override;
  void step_ended(Trainer&, StepRecord& record) override;

 private:
  Times& times_;
  double cpu_seconds_ = 0;  // when the step began
};

/// Writes what runs when in the run's last step. Added last: its records hold no other observer.
class TraceOfLastStep : public Observer {
 public:
  TraceOfLastStep(at::Device device, std::filesystem::path file)
      : device_(device), file_(std::move(file)) {}
  void run_begins(Trainer& trainer) override;
  void step_ended(Trainer& trainer, StepRecord&) override;

 private:
  void begin_before_last(const Trainer& trainer);

  const at::Device device_;
  const std::filesystem::path file_;
  std::optional<KinetoTrace> trace_;
};

}  // namespace longspan
