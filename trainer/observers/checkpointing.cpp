#include "trainer/observers/checkpointing.h"

#include "checkpoints/adapters/peft_adapter.h"
#include "checkpoints/adapters/whole_model.h"
#include "checkpoints/hf/hf_config.h"
#include "src/core/atomic_file.h"
#include "src/core/log.h"
#include "trainer/card/model_card.h"
#include "trainer/trainer.h"

namespace longspan {

void fields(FieldsIo& io, CheckpointingOptions& options) {
  constexpr int64_t kMost = int64_t{1} << 40;
  io.prose("The end of a run, also by a signal, is always saved.");
  io.whole("every_steps", options.every_steps, {0, kMost}, "how often; 0: not by steps");
  io.number("every_minutes", options.every_minutes, {0, 1e9}, "how often; 0: not by time");
  io.whole("keep_last", options.keep_last, {1, kMost}, "the newest so many are kept");
}

Checkpointing::Checkpointing(CheckpointStore store, const CheckpointingOptions& options,
                             LoraOptions lora, std::string base_model_name_or_path, Json identity)
    : store_(std::move(store)),
      options_(options),
      lora_(std::move(lora)),
      base_model_name_or_path_(std::move(base_model_name_or_path)),
      identity_(std::move(identity)) {}

void Checkpointing::run_begins(Trainer& trainer) {
  saved_step_ = trainer.step();
  since_saved_.restart();
  for (const auto& path : store_.set_aside_after(saved_step_)) {
    log_warning("{}: of a run that went further; this one goes on from step {}", path.string(),
                saved_step_);
  }
}

void Checkpointing::step_ended(Trainer& trainer, StepRecord& record) {
  bool by_steps = options_.every_steps > 0 && record.step % options_.every_steps == 0;
  bool by_time =
      options_.every_minutes > 0 && since_saved_.seconds() >= 60 * options_.every_minutes;
  if (by_steps || by_time) save(trainer);
}

void Checkpointing::run_ended(Trainer& trainer) {
  if (trainer.step() > saved_step_) save(trainer);
}

void Checkpointing::save(Trainer& trainer) {
  TrainState state = trainer.state();
  state.identity = identity_;
  PeftAdapter adapter;
  adapter.lora = lora_;
  adapter.base_model_name_or_path = base_model_name_or_path_;
  adapter.config_json = write_hf_config(trainer.model().config(), trainer.model().dtype());
  for (const auto& weight : state.weights) adapter.tensors[weight.name] = weight.master;

  AtomicFolder folder(store_.place(state.step));
  if (lora_.none) {
    write_whole_model(folder.path(), adapter);
  } else {
    write_peft_adapter(folder.path(), adapter);
  }
  write_train_state(folder.path(), state);
  add_model_card(folder.path(), {.adapter = folder.path()});
  folder.commit();
  store_.keep_last(options_.keep_last);
  saved_step_ = state.step;
  since_saved_.restart();
  log_info("saved {}", store_.place(state.step).string());
}

}  // namespace longspan
