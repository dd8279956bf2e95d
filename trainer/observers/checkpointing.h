#pragma once

#include <string>

#include "checkpoints/run_state/checkpoint_store.h"
#include "src/core/fields_io.h"
#include "src/core/json.h"
#include "src/core/stopwatch.h"
#include "src/nn/lora_options.h"
#include "trainer/observer.h"

namespace longspan {

struct CheckpointingOptions {
  int64_t every_steps = 0;   // 0: not by steps
  double every_minutes = 0;  // 0: not by time
  int64_t keep_last = 3;
};

/// The keys of a recipe's `checkpoint` map.
void fields(FieldsIo& io, CheckpointingOptions& options);

/// Saves the PEFT adapter, or the whole model of `lora: none` (from the float32 masters),
/// config.json of the extended model and the train state: every so often, and always at the end of
/// run(). Checkpoints beyond the step that the run begins with are set aside.
class Checkpointing : public Observer {
 public:
  /// `identity`: see TrainState. `base_model_name_or_path` goes into adapter_config.json.
  Checkpointing(CheckpointStore store, const CheckpointingOptions& options, LoraOptions lora,
                std::string base_model_name_or_path, Json identity);

  void run_begins(Trainer& trainer) override;
  void step_ended(Trainer& trainer, StepRecord& record) override;
  void run_ended(Trainer& trainer) override;

 private:
  void save(Trainer& trainer);

  CheckpointStore store_;
  CheckpointingOptions options_;
  LoraOptions lora_;
  std::string base_model_name_or_path_;
  Json identity_;
  int64_t saved_step_ = 0;
  Stopwatch since_saved_;
};

}  // namespace longspan
