#include <filesystem>
#include <map>

#include "checkpoints/exact_start.h"
#include "checkpoints/hf/config_identity.h"
#include "checkpoints/hf/hf_config.h"
#include "checkpoints/model_source.h"
#include "checkpoints/weights_fingerprint.h"
#include "data/store/document_scores.h"
#include "data/store/tokens_fingerprint.h"
#include "recipes/idle_keys.h"
#include "recipes/recipe_model.h"
#include "recipes/recipe_plan.h"
#include "recipes/resume_identity.h"
#include "recipes/yaml.h"
#include "src/core/atomic_file.h"
#include "src/core/digest.h"
#include "src/core/folder_lock.h"
#include "src/core/log.h"
#include "src/core/stop_signal.h"
#include "src/core/text.h"
#include "src/model/apply_lora.h"
#include "src/nn/device.h"
#include "src/nn/page_allocator.h"
#include "tools/commands/commands.h"
#include "tools/support/open_store.h"
#include "tools/support/recipe_arguments.h"
#include "tools/support/shared_options.h"
#include "trainer/observers/metrics.h"
#include "trainer/observers/progress.h"
#include "trainer/observers/stop_on_signal.h"
#include "trainer/plan/parameter_count.h"
#include "trainer/plan/plan_report.h"
#include "trainer/plan/training_flops.h"
#include "trainer/trainer.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

constexpr Option kTrainOptions[] = {
    {"resume", "[PATH]", "", "go on from this checkpoint, or without one from the run's newest"},
    {"dry-run", "", "", "check everything, show what would be done, and stop"},
};

/// All that a run reads, opened and checked; nothing large is in memory yet.
struct Inputs {
  std::unique_ptr<ModelSource> model;
  ModelConfig config;
  std::shared_ptr<const TokenStore> store;
  std::vector<bool> kept_documents;                    // of it, by data.scores; empty: all
  std::vector<std::shared_ptr<const Loader>> loaders;  // one a stage
  std::shared_ptr<const Loader> validation;            // null when there is none
};

/// passage_rows: see PackerOptions.
std::shared_ptr<const Loader> make_loader(const Recipe& recipe,
                                          std::shared_ptr<const TokenStore> store,
                                          const std::vector<bool>& kept_documents, int64_t seq_len,
                                          int64_t passage_rows, bool trains) {
  LoaderOptions options;
  options.packer = {.seq_len = seq_len,
                    .min_document_tokens = recipe.data.min_document_tokens,
                    .only_full_passages = recipe.data.only_full_passages,
                    .kept_documents = kept_documents,
                    .passage_rows = passage_rows};
  options.seed = recipe.train.seed;
  options.shuffle = trains && recipe.data.shuffle;
  if (trains) options.target_length = recipe.packing.target_length;
  return std::make_shared<const Loader>(std::move(store), options);
}

Inputs open_inputs(const Recipe& recipe) {
  Inputs inputs;
  inputs.model = open_model_source(recipe.model.path);
  inputs.config = read_hf_config(*inputs.model);
  check_recipe_against_model(recipe, inputs.config, inputs.model.get());
  warn_of_idle_keys(recipe, &inputs.config);
  inputs.store = open_store(recipe.data.path, *inputs.model);
  if (!recipe.data.scores.empty()) {
    inputs.kept_documents =
        documents_of_highest_scores(recipe.data.scores, recipe.data.keep_share, *inputs.store);
  }

  std::map<std::pair<int64_t, int64_t>, std::shared_ptr<const Loader>> shared;
  int64_t longest = 0;
  for (const auto& stage : recipe.stages) {
    const int64_t passage_rows = stage.attention->passage_rows();
    auto& loader = shared[{stage.seq_len, passage_rows}];
    if (!loader) {
      loader = make_loader(recipe, inputs.store, inputs.kept_documents, stage.seq_len, passage_rows,
                           /*trains=*/true);
    }
    inputs.loaders.push_back(loader);
    longest = std::max(longest, stage.seq_len);
  }
  const ValidationOptions& validation = recipe.validation;
  if (!validation.path.empty()) {
    int64_t seq_len = validation.seq_len > 0 ? validation.seq_len : longest;
    inputs.validation = make_loader(recipe, open_store(validation.path, *inputs.model), {}, seq_len,
                                    /*passage_rows=*/0, /*trains=*/false);
  }
  return inputs;
}

/// What decides the bits of a run besides the recipe: which base model and which documents.
Json run_identity(const Recipe& recipe, const Inputs& inputs) {
  Digest config;
  config.update(inputs.model->config_json().dump());
  const TokenStoreInfo& info = inputs.store->info();
  Json identity = resume_identity(recipe);
  identity["model"]["config"] = config_identity(inputs.config);
  identity["model"]["config_sha256"] = config.hex();  // for checkpoints without `config`
  identity["model"]["weights_sha256"] = weights_fingerprint(*inputs.model);
  identity["data"]["tokens"] = info.tokens;
  identity["data"]["tokens_sha256"] = tokens_fingerprint(*inputs.store);
  identity["data"]["tokenizer_fingerprint"] = info.tokenizer_fingerprint;
  if (!inputs.kept_documents.empty()) {
    Digest kept;
    for (const bool is_kept : inputs.kept_documents) kept.update(is_kept ? "1" : "0");
    identity["data"]["kept_documents_sha256"] = kept.hex();
  }
  return identity;
}

/// Both for the step of the checkpoint. An earlier version hashed config.json as it was written;
/// one before it took no hashes of weights and tokens, but one of the documents' names and lengths.
void require_same_run(const Json& saved, const Json& current, int64_t step,
                      const std::string& place) {
  Json then = identity_at(saved, step), now = identity_at(current, step);
  const auto has = [&](const char* key) {
    return then.contains("model") && then["model"].contains(key);
  };
  if (has("config")) {
    then["model"].erase("config_sha256");
    now["model"].erase("config_sha256");
  } else {
    now["model"].erase("config");
  }
  if (!has("weights_sha256") && then.contains("data")) {
    then["data"].erase("documents_sha256");
    now["data"].erase("tokens_sha256");
    now["model"].erase("weights_sha256");
  }
  require_same_identity(then, now, place);
}

std::string describe_rope(const RopeExtension& rope) {
  return fmt::format("{} x{}, {} positions", rope.scaling->rope_type(), rope.scaling->factor(),
                     human_count(rope.context_length));
}

/// A run that goes on keeps what was chosen when it began, so that its losses stay the same bits
/// (on a CPU). Only where it offloads to is taken anew: its folder may have been moved.
MemoryOptions memory_asked(const Recipe& recipe, bool resumes) {
  const fs::path resolved = fs::path(recipe.output_dir) / "recipe.resolved.yaml";
  const MemoryOptions& asked = recipe.train.memory;
  if (!resumes || !fs::exists(resolved)) return asked;
  const Recipe before = load_recipe(resolved, {});
  MemoryOptions chosen = before.train.memory;
  if (chosen.offload_dir == before.output_dir) chosen.offload_dir.clear();
  return merge_memory_options(asked, chosen);
}

Plan plan_recipe(Recipe& recipe, const Inputs& inputs, at::Device device, bool resumes) {
  const MemoryOptions asked = memory_asked(recipe, resumes);
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

double epochs(const Stage& stage, const PackingReport& packing) {
  return static_cast<double>(stage.steps * stage.rows_per_step()) /
         static_cast<double>(packing.sequences);
}

void warn_of_repeated_rows(const Stage& stage, const PackingReport& packing) {
  if (stage.rows_per_step() <= packing.sequences) return;
  log_warning(
      "a step takes {} rows of {} tokens, and the store has {}: each is repeated {:.1f} "
      "times in it; lower batch_size or gradient_accumulation_steps, or prepare more "
      "text",
      human_count(stage.rows_per_step()), human_count(stage.seq_len),
      human_count(packing.sequences),
      static_cast<double>(stage.rows_per_step()) / static_cast<double>(packing.sequences));
}

void show_banner(const Recipe& recipe, const Inputs& inputs, at::Device device, const Plan& plan) {
  const ModelConfig& config = inputs.config;
  const TokenStoreInfo& info = inputs.store->info();
  log_info("model    {} ({}, {} layers, hidden_size {}, {})", recipe.model.path, config.model_type,
           config.num_hidden_layers, config.hidden_size, recipe.model.dtype);
  log_info("trained  {}", count_parameters(config, recipe.lora).to_string());
  log_info("RoPE     before: {}", describe_rope(extend_rope(config, nullptr)));
  log_info("data     {}: {} documents, {} tokens", recipe.data.path, human_count(info.documents),
           human_count(info.tokens));
  int64_t first = 1;
  for (size_t i = 0; i < recipe.stages.size(); ++i) {
    const Stage& stage = recipe.stages[i];
    const PackingReport& packing = inputs.loaders[i]->report();
    log_info(
        "stage {}  {}: seq_len {}, {} attention, RoPE {}; {} tokens a step ({} x {} "
        "rows), {:.1f} TFLOP; {} sequences, {:.2f} epochs of them, {} of them one passage, {} "
        "tokens of padding; left out: {} documents, {} tokens in all",
        i,
        recipe.train.interleave ? fmt::format("{} steps in turn", stage.steps)
                                : fmt::format("steps {}-{}", first, first + stage.steps - 1),
        human_count(stage.seq_len), stage.attention->name(),
        describe_rope(extend_rope(config, stage.rope, stage.on_scaled)),
        human_count(stage.tokens_per_step()), stage.gradient_accumulation_steps, stage.batch_size,
        step_flops(config, stage, plan.memory, recipe.lora.none, recipe.lora.none ? 1 : 0).total() /
            1e12,
        human_count(packing.sequences), epochs(stage, packing), human_count(packing.full_passages),
        human_count(packing.padding_tokens), human_count(packing.dropped_documents),
        human_count(packing.dropped_tokens));
    warn_of_repeated_rows(stage, packing);
    first += stage.steps;
  }
  log_info("device   {}", device.str());
  log_info("memory   about {}; {}", describe_peak(plan.peak()), describe_memory(plan));
  log_info("output   {}", recipe.output_dir);
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

int run(const Recipe& recipe, const Inputs& inputs, at::Device device, const Json& identity,
        std::optional<Resumption> resumption) {
  const fs::path folder = recipe.output_dir;
  write_file(folder / "recipe.resolved.yaml", write_yaml(resolved_recipe(recipe)));

  keep_freed_scratch();
  set_seed_and_threads(recipe.train);
  const auto [model, residency] = open_recipe_model(recipe, *inputs.model, device);

  Trainer trainer(*model, recipe.stages, inputs.loaders, recipe.train, residency);
  if (inputs.validation) {
    trainer.add(std::make_unique<Validation>(recipe.validation, inputs.validation));
  }
  trainer.add(std::make_unique<Metrics>(folder / "metrics.jsonl"));
  trainer.add(std::make_unique<Progress>());
  trainer.add(std::make_unique<Checkpointing>(CheckpointStore(folder / "checkpoints"),
                                              recipe.checkpoint, recipe.lora, recipe.model.path,
                                              identity));
  trainer.add(std::make_unique<StopOnSignal>());
  if (resumption) {
    trainer.resume(resumption->state);
    log_info("resumed {} at step {}", resumption->checkpoint.string(), trainer.step());
    if (trainer.step() == total_steps(recipe.stages)) {
      log_info("its steps are all done; a larger {} goes on from here",
               recipe.given.contains("stages")
                   ? fmt::format("stages.{}.steps", recipe.stages.size() - 1)
                   : "train.steps");
    }
    resumption.reset();
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
  if (!resumes) refuse_second_run(recipe);
  Inputs inputs = open_inputs(recipe);
  const Plan plan = plan_recipe(recipe, inputs, device, resumes);
  const fs::path folder = recipe.output_dir;
  std::optional<FolderLock> lock;  // two runs would remove each other's checkpoints
  if (!dry_run && fs::exists(folder)) lock.emplace(folder);
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
  show_banner(recipe, inputs, device, plan);
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
        "  longspan train recipes/smollm2-135m-16k-quickstart.yaml optimizer.lr=2e-4\n"
        "  longspan train recipes/smollm2-135m-16k-quickstart.yaml --resume",
    .arguments = kRecipeArguments,
    .options = {kTrainOptions, kDeviceOption},
    .run = run_train,
};

}  // namespace longspan
