#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace longspan {

class Trainer;

/// What is known after an update of the weights.
struct StepRecord {
  int64_t step = 0;  // finished updates, from 1
  int64_t total_steps = 0;
  size_t stage = 0;  // index
  int64_t seq_len = 0;
  std::string attention;  // name of the pattern
  double loss = 0;        // mean over the labelled tokens of the step, before the update
  std::optional<double> weighted_loss;  // what was trained, where `loss.weights` are not uniform
  double lr = 0;
  double grad_norm = 0;      // before clipping
  int64_t tokens = 0;        // of this step, padding included
  int64_t total_tokens = 0;  // since step 0
  double step_seconds = 0;
  std::string device;                     // "cpu" or "cuda"
  int64_t peak_memory_bytes = 0;          // of the device (src/nn/device.h)
  std::optional<double> validation_loss;  // where one was computed

  double tokens_per_second() const { return static_cast<double>(tokens) / step_seconds; }
};

/// Watches a run from outside. Observers are called in the order in which they were added; one may
/// fill in the record for those after it.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void run_begins(Trainer&) {}
  virtual void step_ended(Trainer&, StepRecord&) {}
  /// After the last step, after stop(), and after an error that left whole the weights of the last
  /// step.
  virtual void run_ended(Trainer&) {}
};

}  // namespace longspan
