#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "checkpoints/run_state/train_state.h"
#include "data/store/loader.h"
#include "src/model/causal_lm.h"
#include "src/nn/weight_residency.h"
#include "trainer/observer.h"
#include "trainer/optimizer/adamw.h"
#include "trainer/stage.h"
#include "trainer/trainer_options.h"

namespace longspan {

/// Trains what requires gradients in a model, stage by stage. Everything optional (progress,
/// metrics, checkpoints, validation) observes it.
class Trainer {
 public:
  /// One loader a stage (stages may share one). The model is the base, not yet extended: each stage
  /// sets its RoPE and attention. `residency` is told of each use of a layer's weights.
  Trainer(CausalLm& model, std::vector<Stage> stages,
          std::vector<std::shared_ptr<const Loader>> loaders, const TrainerOptions& options,
          std::shared_ptr<WeightResidency> residency = nullptr);

  Trainer& add(std::unique_ptr<Observer> observer);
  /// The trained weights begin with these values where they are given; see AdamW::begin_with.
  void begin_with(const std::function<at::Tensor(const std::string& name)>& exact) {
    optimizer_.begin_with(exact);
  }
  /// Goes on after the step of `state`; the losses that follow are those of an unbroken run, bit
  /// for bit. A state that does not fit throws Error(kCheckpoint).
  void resume(const TrainState& state);
  /// Trains to the last step or until stop(). A loss or gradient norm that is not finite throws
  /// Error(kNonFinite) before it reaches the weights, rows without a label Error(kData); after
  /// these and all other errors the observers save what was trained until then.
  void run();
  /// Ends run() after the current step.
  void stop() { stopped_ = true; }

  CausalLm& model() { return model_; }
  const TrainerOptions& options() const { return options_; }
  const std::vector<Stage>& stages() const { return stages_; }
  const AdamW& optimizer() const { return optimizer_; }
  int64_t step() const { return step_; }  // finished updates
  /// The identity is left to who saves it.
  TrainState state() const;

 private:
  StepRecord train_step();
  void enter(size_t stage);
  void end();
  /// What was trained before it is worth saving, whatever went wrong.
  void end_after_error();

  CausalLm& model_;
  const ModelConfig base_;
  const std::vector<Stage> stages_;
  const std::vector<std::shared_ptr<const Loader>> loaders_;
  const TrainerOptions options_;
  AdamW optimizer_;
  std::vector<std::unique_ptr<Observer>> observers_;
  int64_t step_ = 0, tokens_ = 0;
  bool stopped_ = false;
  bool is_updating_ = false;  // the weights are of no step
};

/// Seeds LibTorch's default generator (LoRA's start is drawn from it) and sets the threads.
void set_seed_and_threads(const TrainerOptions& options);

}  // namespace longspan
