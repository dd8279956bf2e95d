#include "trainer/trainer.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>

#include <cmath>

#include "src/core/error.h"
#include "src/core/log.h"
#include "src/core/stopwatch.h"
#include "src/nn/activation_store.h"
#include "src/nn/device.h"
#include "src/nn/lora_dropout.h"
#include "trainer/loss.h"
#include "trainer/optimizer/learning_rate.h"

namespace longspan {

namespace {

void require_finite(const StepRecord& record, const StagePosition& position, const Stage& stage) {
  if (std::isfinite(record.loss) && std::isfinite(record.grad_norm)) return;
  fail(
      ExitCode::kNonFinite,
      "step {}: loss {}, gradient norm {} on rows {} to {} of the shuffled sequences of {} tokens; "
      "the weights are those of step {}; go on by --resume, or from an older checkpoint by "
      "--resume=PATH, with a lower optimizer.lr, a longer lr_schedule.warmup_steps or "
      "model.dtype=float32",
      record.step, record.loss, record.grad_norm, position.first_row,
      position.first_row + stage.rows_per_step() - 1, stage.seq_len, record.step - 1);
}

TrainerOptions resolved(TrainerOptions options) {
  options.memory = merge_memory_options(options.memory, default_memory_options());
  options.optimizer.state_bits = *options.memory.optimizer_state_bits;
  return options;
}

ActivationOptions activation_options(const MemoryOptions& memory, const ModelConfig& config) {
  ActivationOptions options;
  options.recompute.what = *memory.recompute;
  options.recompute.num_layers =
      static_cast<size_t>(first_layers(memory, config.num_hidden_layers));
  options.recompute.rest = recompute_of_rest(memory);
  options.chunk_tokens = *memory.chunk_tokens;
  if (memory.offload != Offload::kNone) {
    std::string directory = memory.offload == Offload::kDisk ? memory.offload_dir : "";
    options.recompute.store = std::make_shared<ActivationStore>(
        ActivationStoreOptions{.ram_bytes = *memory.offload_ram,
                               .directory = directory,
                               .fetched_ahead = fetched_ahead(memory)});
  }
  return options;
}

}  // namespace

Trainer::Trainer(CausalLm& model, std::vector<Stage> stages,
                 std::vector<std::shared_ptr<const Loader>> loaders, const TrainerOptions& options,
                 std::shared_ptr<WeightResidency> residency)
    : model_(model),
      base_(model.config()),
      stages_(std::move(stages)),
      loaders_(std::move(loaders)),
      options_(resolved(options)),
      optimizer_(model, options_.optimizer) {
  if (stages_.size() != loaders_.size()) throw std::logic_error("one loader a stage is needed");
  ActivationOptions activations = activation_options(options_.memory, base_);
  activations.recompute.residency = std::move(residency);
  model_.set_activations(std::move(activations));
}

Trainer& Trainer::add(std::unique_ptr<Observer> observer) {
  observers_.push_back(std::move(observer));
  return *this;
}

void Trainer::run() {
  for (auto& observer : observers_) observer->run_begins(*this);
  try {
    while (step_ < total_steps(stages_) && !stopped_) {
      StepRecord record = train_step();
      for (auto& observer : observers_) observer->step_ended(*this, record);
    }
  } catch (...) {
    end_after_error();
    throw;
  }
  end();
}

void Trainer::end() {
  for (auto& observer : observers_) observer->run_ended(*this);
}

void Trainer::end_after_error() {
  if (is_updating_) return;
  try {
    // With the RoPE that the weights were trained with.
    if (step_ > 0) enter(stage_position(stages_, step_ - 1, options_.interleave).stage);
    end();
  } catch (const std::exception& e) {
    log_warning("step {} could not be saved: {}", step_, e.what());
  }
}

StepRecord Trainer::train_step() {
  const Stopwatch stopwatch;
  const StagePosition position = stage_position(stages_, step_, options_.interleave);
  const Stage& stage = stages_[position.stage];
  enter(position.stage);

  // Sums over all batches first: the mean is over the labelled tokens of the whole step.
  double loss = 0, weighted_loss = 0;
  int64_t labelled_tokens = 0;
  const Loader& loader = *loaders_[position.stage];
  for (int64_t i = 0; i < stage.gradient_accumulation_steps; ++i) {
    Batch batch = loader.batch(position.first_row + i * stage.batch_size, stage.batch_size);
    const DropoutPass dropout(options_.seed,
                              static_cast<uint64_t>(step_) << 16 | static_cast<uint64_t>(i));
    const RowWeights weights = token_weights_of(
        options_.loss, model_, batch, loader.places_by_context(), options_.loss_chunk_tokens);
    const WeightedSum sum = weighted_loss_sum(model_, batch, weights, options_.loss_chunk_tokens);
    sum.weighted.backward();
    optimizer_.accumulate_gradients();
    loss += sum.plain.item<double>();
    weighted_loss += sum.weighted.item<double>();
    labelled_tokens += batch.labelled_tokens;
  }
  loader.require_labels(labelled_tokens, position.first_row,
                        stage.gradient_accumulation_steps * stage.batch_size);
  optimizer_.scale_gradients(1.0 / static_cast<double>(labelled_tokens));

  StepRecord record;
  record.step = step_ + 1;
  record.total_steps = total_steps(stages_);
  record.loss = loss / static_cast<double>(labelled_tokens);
  if (!options_.loss.uniform()) {
    record.weighted_loss = weighted_loss / static_cast<double>(labelled_tokens);
  }
  record.grad_norm = optimizer_.gradient_norm();
  record.lr =
      options_.optimizer.lr * learning_rate_factor(options_.lr_schedule, step_, record.total_steps);
  require_finite(record, position, stage);
  if (options_.max_grad_norm > 0 && record.grad_norm > options_.max_grad_norm) {
    optimizer_.scale_gradients(options_.max_grad_norm / record.grad_norm);
  }
  is_updating_ = true;
  optimizer_.update(record.step, record.lr);
  const at::Device device = model_.lm_head_weight().device();
  synchronize(device);
  step_ = record.step;
  tokens_ += stage.tokens_per_step();
  is_updating_ = false;

  record.stage = position.stage;
  record.seq_len = stage.seq_len;
  record.attention = stage.attention->name();
  record.tokens = stage.tokens_per_step();
  record.total_tokens = tokens_;
  record.step_seconds = stopwatch.seconds();
  record.device = c10::DeviceTypeName(device.type(), /*lower_case=*/true);
  record.peak_memory_bytes = peak_memory_bytes(device);
  return record;
}

void Trainer::enter(size_t stage) {
  const Stage& entered = stages_[stage];
  apply_rope(extend_rope(base_, entered.rope, entered.on_scaled), model_);
  // What config.json will state follows from the stage, not from those that this process entered.
  std::shared_ptr<const AttentionPattern> stated = base_.attention;
  for (size_t i = 0; i <= stage; ++i) {
    if (stages_[i].attention->belongs_to_model()) stated = stages_[i].attention;
  }
  model_.set_attention(entered.attention);
  model_.state_attention(std::move(stated));
}

void Trainer::resume(const TrainState& state) {
  if (state.step > total_steps(stages_)) {
    fail(ExitCode::kCheckpoint, "the checkpoint is at step {}, beyond the {} steps of the run",
         state.step, total_steps(stages_));
  }
  optimizer_.restore(state.weights);
  step_ = state.step;
  tokens_ = state.tokens;
}

TrainState Trainer::state() const {
  return {.step = step_, .tokens = tokens_, .identity = {}, .weights = optimizer_.state()};
}

void set_seed_and_threads(const TrainerOptions& options) {
  at::manual_seed(options.seed);
  if (options.threads > 0) at::set_num_threads(static_cast<int>(options.threads));
}

}  // namespace longspan
