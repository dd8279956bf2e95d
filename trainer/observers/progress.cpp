#include "trainer/observers/progress.h"

#include <algorithm>
#include <cmath>

#include "src/core/log.h"
#include "src/core/text.h"
#include "src/nn/device.h"
#include "trainer/plan/training_flops.h"
#include "trainer/trainer.h"

namespace longspan {

namespace {

double flops_of(Trainer& trainer, const Stage& stage) {
  return step_flops(trainer.model().config(), stage, trainer.options().memory).total();
}

/// The arithmetic left after `step` finished updates: a stage with full attention or longer
/// sequences costs more a step than the one that was timed.
double flops_left(Trainer& trainer, int64_t step) {
  double flops = 0;
  const auto& stages = trainer.stages();
  const auto done = steps_by_stage(stages, step, trainer.options().interleave);
  for (size_t i = 0; i < stages.size(); ++i) {
    flops += static_cast<double>(stages[i].steps - done[i]) * flops_of(trainer, stages[i]);
  }
  return flops;
}

}  // namespace

void Progress::run_begins(Trainer& trainer) { first_step_ = trainer.step(); }

void Progress::step_ended(Trainer& trainer, StepRecord& record) {
  seconds_ += record.step_seconds;
  const Stage& stage = trainer.stages()[record.stage];
  const ModelConfig& config = trainer.model().config();
  flops_ += flops_of(trainer, stage);
  double eta = seconds_ / flops_ * flops_left(trainer, record.step);
  std::string line = fmt::format(
      "step {}/{}  loss {:.4f}  lr {:.2e}  grad_norm {:.3f}  {} tok/s  mem {}  {}  ETA {}",
      record.step, record.total_steps, record.loss, record.lr, record.grad_norm,
      human_count(std::llround(record.tokens_per_second())), human_bytes(record.peak_memory_bytes),
      fmt::format("{} {}", human_count(record.seq_len),
                  stage.attention->describe(config.num_hidden_layers, config.num_attention_heads)),
      human_duration(eta));
  if (record.weighted_loss) line += fmt::format("  weighted_loss {:.4f}", *record.weighted_loss);
  if (record.validation_loss) {
    log_info("{}  validation_loss {:.4f}", line, *record.validation_loss);
  } else if (stderr_is_terminal()) {
    show_progress(line);
  } else {
    log_info(line);
  }
}

void Progress::run_ended(Trainer& trainer) {
  show_progress("");
  log_info("trained {} steps in {}; step {} of {}", trainer.step() - first_step_,
           human_duration(seconds_), trainer.step(), total_steps(trainer.stages()));
  const at::Device device = trainer.model().lm_head_weight().device();
  if (device.is_cpu()) return;
  // What lies between tensors of many sizes is lost to longer contexts.
  log_info("the GPU's memory at the peak: {} of tensors, {} taken for them",
           human_bytes(peak_memory_bytes(device)), human_bytes(peak_reserved_bytes(device)));
}

}  // namespace longspan
