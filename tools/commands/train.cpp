#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "checkpoints/exact_start.h"
#include "recipes/recipe_model.h"
#include "recipes/recipe_plan.h"
#include "recipes/resume_identity.h"
#include "recipes/yaml.h"
#include "src/core/atomic_file.h"
#include "src/core/log.h"
#include "src/core/path_lock.h"
#include "src/core/stop_signal.h"
#include "src/model/apply_lora.h"
#include "src/nn/device.h"
#include "src/nn/page_allocator.h"
#include "tools/commands/commands.h"
#include "tools/support/recipe_arguments.h"
#include "tools/support/shared_options.h"
#include "tools/support/training_banner.h"
#include "tools/support/training_inputs.h"
#include "trainer/observers/metrics.h"
#include "trainer/observers/progress.h"
#include "trainer/observers/stop_on_signal.h"
#include "trainer/trainer.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

constexpr Option kTrainOptions[] = {
    {"resume", "[PATH]", "", "go on from this checkpoint, or without one from the run's newest"},
    {"dry-run", "", "", "check everything, show what would be done, and stop"},
};

/// What a run that goes on has chosen gives way to what is given now and does not go with it.
MemoryOptions without_contradictions(MemoryOptions chosen, const Recipe& recipe,
                                     at::Device device) {
  const MemoryOptions& asked = recipe.train.memory;
  const bool quantised = recipe.model.quantization != "none";
  if ((quantised || !device.is_cpu()) && chosen.weights == FrozenWeights::kMapped) {
    chosen.weights.reset();
  }
  if (!device.is_cpu() && chosen.offload == Offload::kDisk) {  // a CPU's choice
    chosen.offload.reset();
    chosen.offload_ram.reset();
  }
  const bool needs_recompute =
      asked.recompute_num_layers.value_or(0) > 0 ||
      asked.recompute_rest.value_or(Recompute::kNone) != Recompute::kNone ||
      asked.offload.value_or(Offload::kNone) != Offload::kNone ||
      asked.chunk_tokens.value_or(0) > 0;
  if (needs_recompute && chosen.recompute == Recompute::kNone) {
    chosen.recompute.reset();
    chosen.recompute_num_layers.reset();
    chosen.recompute_rest.reset();
  }
  if (asked.recompute == Recompute::kNone) {
    chosen.offload.reset();
    chosen.chunk_tokens.reset();
  }
  if (asked.recompute == Recompute::kNone || (asked.offload && asked.offload != chosen.offload)) {
    chosen.offload_ram.reset();
  }
  return chosen;
}

/// The folder of the run that a checkpoint is of.
fs::path run_of(const std::string& checkpoint) {
  return fs::weakly_canonical(without_trailing_slash(fs::absolute(checkpoint)))
      .parent_path()
      .parent_path();
}

/// The recipe as the run that goes on has written it: that of the checkpoint where one is named,
/// else in its folder. Nothing where there is no run yet.
std::optional<fs::path> resolved_before(const Recipe& recipe, const std::string& checkpoint) {
  std::vector<fs::path> runs;
  if (!checkpoint.empty()) runs.push_back(run_of(checkpoint));
  runs.emplace_back(recipe.output_dir);
  for (const fs::path& run : runs) {
    if (fs::exists(run / "recipe.resolved.yaml")) return run / "recipe.resolved.yaml";
  }
  return std::nullopt;
}

/// A run that goes on keeps what was chosen when it began, so that its losses stay the same bits
/// (on a CPU). Only where it offloads to is taken anew: its folder may have been moved.
MemoryOptions memory_asked(const Recipe& recipe, at::Device device,
                           const std::optional<fs::path>& resolved) {
  const MemoryOptions& asked = recipe.train.memory;
  if (!resolved) return asked;
  const Recipe before = load_recipe(*resolved, {});
  MemoryOptions chosen = before.train.memory;
  // Mapped from the files, weights have the dtype that these have.
  if (before.model.dtype != recipe.model.dtype) chosen.weights.reset();
  if (chosen.offload_dir == before.output_dir) chosen.offload_dir.clear();
  return merge_memory_options(asked, without_contradictions(std::move(chosen), recipe, device));
}

/// `resolved`: see resolved_before; of a run that begins nothing.
Plan plan_recipe(Recipe& recipe, const TrainingInputs& inputs, at::Device device,
                 const std::optional<fs::path>& resolved) {
  const MemoryOptions asked = memory_asked(recipe, device, resolved);
  recipe.train.memory = asked;
  const RunShape shape = run_shape(recipe, inputs.config, inputs.model.get(), device);
  const Machine machine = this_machine(recipe, usual_rates(device), device);
  Plan plan = plan_run(shape, recipe.stages, asked, machine);
  if (!plan.fits()) {
    require_fit(plan, remedies(shape, recipe.stages, asked, machine),
                longest_context(shape, recipe.stages, asked, machine));
    log_warning(
        "the run needs all but a tenth of the memory that is available, or more; plans are "
        "right within a tenth");
  }
  const CheckpointSpace checkpoints = checkpoint_space(recipe, shape, plan);
  if (!checkpoints.fits()) {
    log_warning(
        "{}: has no room for checkpoints of {}; lower checkpoint.keep_last or "
        "take another output.dir",
        recipe.output_dir, checkpoints.to_string());
  }
  plan.memory.offload_dir = offload_directory(recipe);
  recipe.train.memory = plan.memory;
  return plan;
}

struct Resumption {
  fs::path checkpoint;
  TrainState state;
};

/// Of the checkpoint named, else of the run's newest; none starts at step 0. Throws
/// Error(kCheckpoint) where it belongs to another run.
std::optional<Resumption> find_resumption(const std::string& named, const fs::path& folder,
                                          const Json& identity) {
  std::optional<fs::path> checkpoint = named;
  if (named.empty()) checkpoint = CheckpointStore(folder / "checkpoints").newest();
  if (!checkpoint) return std::nullopt;
  TrainState state = read_train_state(*checkpoint);
  require_same_run(state.identity, identity, state.step, checkpoint->string());
  return Resumption{*checkpoint, std::move(state)};
}

/// `--resume PATH` makes PATH an override.
void require_overrides(const Arguments& arguments) {
  for (const auto& argument : arguments.all("overrides")) {
    if (argument.find('=') != argument.npos) continue;
    fail(ExitCode::kUsage,
         "'{}': expected key.path=value, such as optimizer.lr=1e-4; a checkpoint is given as "
         "--resume=PATH",
         argument);
  }
}

/// A run that goes on from a checkpoint of another folder may have begun here, but saved nothing.
void refuse_mixed_runs(const Recipe& recipe) {
  if (!CheckpointStore(fs::path(recipe.output_dir) / "checkpoints").newest()) return;
  fail(ExitCode::kFailure,
       "{}: holds a run already, whose checkpoints those of the one that goes on would replace; "
       "choose another folder with output.dir=..., or go on with its own by --resume without a "
       "path",
       recipe.output_dir);
}

void refuse_second_run(const Recipe& recipe) {
  const fs::path metrics = fs::path(recipe.output_dir) / "metrics.jsonl";
  if (!fs::exists(metrics)) return;
  fail(ExitCode::kFailure,
       "{}: holds a run already; go on with it by --resume, or choose another folder with "
       "output.dir=...",
       recipe.output_dir);
}

/// DoRA's magnitudes of quantised weights stay the norms of these, as in PEFT.
at::Tensor start_of(const ModelSource& model, const std::string& parameter, bool is_quantised) {
  return is_of_lora(parameter) && is_quantised ? at::Tensor() : exact_start(model, parameter);
}

void add_observers(Trainer& trainer, const Recipe& recipe, const TrainingInputs& inputs,
                   const Json& identity) {
  const fs::path folder = recipe.output_dir;
  if (inputs.validation) {
    trainer.add(std::make_unique<Validation>(recipe.validation, inputs.validation));
  }
  trainer.add(std::make_unique<Metrics>(folder / "metrics.jsonl"));
  trainer.add(std::make_unique<Progress>());
  trainer.add(std::make_unique<Checkpointing>(CheckpointStore(folder / "checkpoints"),
                                              recipe.checkpoint, recipe.lora, recipe.model.path,
                                              identity));
  trainer.add(std::make_unique<StopOnSignal>());
}

void resume(Trainer& trainer, const Recipe& recipe, const Resumption& resumption) {
  trainer.resume(resumption.state);
  log_info("resumed {} at step {}", resumption.checkpoint.string(), trainer.step());
  if (trainer.step() < total_steps(recipe.stages)) return;
  if (recipe.train.interleave) return log_info("its steps are all done");  // no others may follow
  log_info("its steps are all done; a larger {} goes on from here",
           recipe.given.contains("stages")
               ? fmt::format("stages.{}.steps", recipe.stages.size() - 1)
               : "train.steps");
}

int run(const Recipe& recipe, const TrainingInputs& inputs, at::Device device, const Json& identity,
        std::optional<Resumption> resumption) {
  const fs::path folder = recipe.output_dir;
  write_file(folder / "recipe.resolved.yaml", write_yaml(resolved_recipe(recipe)));

  keep_freed_scratch();
  set_seed_and_threads(recipe.train);
  if (recipe.train.deterministic) use_deterministic_kernels(device);
  const auto [model, residency] = open_recipe_model(recipe, *inputs.model, device);

  Trainer trainer(*model, recipe.stages, inputs.loaders, recipe.train, residency);
  add_observers(trainer, recipe, inputs, identity);
  if (resumption) {
    resume(trainer, recipe, *resumption);
    resumption.reset();  // the optimizer has copied it
  } else {
    trainer.begin_with([&](const std::string& name) {
      return start_of(*inputs.model, name, recipe.model.quantization != "none");
    });
  }
  trainer.run();
  return static_cast<int>(exit_code_of(stop_signal()));
}

int run_train(const Arguments& arguments) {
  const at::Device device = open_device(arguments["device"]);
  bool resumes = arguments.given("resume"), dry_run = arguments.given("dry-run");
  if (resumes) require_overrides(arguments);
  Recipe recipe = load_recipe(arguments);
  const bool is_elsewhere = resumes && !arguments["resume"].empty() &&
                            run_of(arguments["resume"]) != fs::weakly_canonical(recipe.output_dir);
  const auto refuse_what_is_there = [&] {
    if (is_elsewhere) refuse_mixed_runs(recipe);
    if (!resumes) refuse_second_run(recipe);
  };
  refuse_what_is_there();
  const TrainingInputs inputs = open_training_inputs(recipe);
  std::optional<fs::path> resolved;
  if (resumes) resolved = resolved_before(recipe, arguments["resume"]);
  const Plan plan = plan_recipe(recipe, inputs, device, resolved);
  const fs::path folder = recipe.output_dir;
  std::optional<PathLock> lock;  // two runs would remove each other's checkpoints
  if (!dry_run && fs::exists(folder)) lock.emplace(folder);
  if (lock) refuse_what_is_there();  // of one that began and ended meanwhile
  const Json identity = run_identity(recipe, inputs);
  std::optional<Resumption> resumption;
  if (resumes) {
    resumption = find_resumption(arguments["resume"], folder, identity);
  }
  if (!dry_run) {
    fs::create_directories(folder);
    if (!lock) lock.emplace(folder);
    log_to_file(folder / "log.txt");
  }
  show_training_banner(recipe, inputs, device, plan);
  if (resumes && !resumption) {
    log_warning("--resume: the run has no checkpoint yet; starting at step 0");
  }
  return dry_run ? 0 : run(recipe, inputs, device, identity, std::move(resumption));
}

}  // namespace

constinit const Command kTrainCommand{
    .name = "train",
    .summary = "run a recipe",
    .description =
        "Run a recipe into its run folder: recipe.resolved.yaml, metrics.jsonl, log.txt, "
        "checkpoints/.",
    .example =
        "  longspan train recipes/smollm2-135m-16k.yaml optimizer.lr=2e-4\n"
        "  longspan train recipes/smollm2-135m-16k.yaml --resume",
    .arguments = kRecipeArguments,
    .options = {kTrainOptions, kDeviceOption},
    .run = run_train,
};

}  // namespace longspan
