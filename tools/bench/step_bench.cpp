// Training steps on one long text by the Trainer that `longspan train` runs, and their figures.

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>

#include "data/store/token_store.h"
#include "recipes/recipe_model.h"
#include "recipes/recipe_plan.h"
#include "src/core/atomic_file.h"
#include "src/core/fields_writer.h"
#include "src/core/stopwatch.h"
#include "src/nn/device.h"
#include "src/nn/page_allocator.h"
#include "tools/bench/bench.h"
#include "tools/bench/operator_profile.h"
#include "tools/bench/random_weights.h"
#include "tools/bench/step_observers.h"
#include "tools/bench/step_work.h"
#include "tools/bench/timing.h"
#include "trainer/figures/table.h"
#include "trainer/plan/training_flops.h"
#include "trainer/trainer.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kStepBenchExample =
    "  bench step --model models/SmolLM2-135M-Instruct --text emma.txt.gz --length 8192 \\\n"
    "      --attention s2 --steps 2 memory.recompute=selective --json > step.json";

/// Of a step, without what is only computed again. The backward of attention makes the scores a
/// second time: 5 products, of which 4 count.
double useful_flops(const CausalLm& model, const Stage& stage) {
  const StepFlops flops = step_flops(model.config(), stage, {.recompute = Recompute::kNone},
                                     model.lm_head_weight().requires_grad());
  return flops.total() - flops.attention_backward / 5;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

double rounded(double value, double places) {
  return std::round(value * std::pow(10, places)) / std::pow(10, places);
}

Json rounded(std::vector<double> values, double places) {
  for (double& value : values) value = rounded(value, places);
  return values;
}

/// The keys that a peer's script prints too, and then ours.
Json result_of(const cxxopts::ParseResult& parsed, const Recipe& recipe, const Trainer& trainer,
               const CausalLm& model, const StepTimes::Times& times) {
  int64_t trained = 0;
  for (const auto& weight : trainer.optimizer().weights()) trained += weight.parameter.numel();
  const Stage& stage = recipe.stages.front();
  const auto tokens = static_cast<double>(stage.tokens_per_step());
  // CPU time where one thread computes, so that other programs hardly change the ratio.
  const at::Device device = model.lm_head_weight().device();
  const bool one_thread = device.is_cpu() && at::get_num_threads() == 1;
  const auto& seconds = one_thread ? times.cpu_seconds : times.seconds;
  const double useful =
      1e-9 * useful_flops(model, stage) / *std::min_element(seconds.begin(), seconds.end());
  const double linear = linear_gflops(device);
  const MemoryOptions& memory = trainer.options().memory;
  return {{"peer", "longspan"},
          {"attention", parsed["attention"].as<std::string>()},
          {"dtype", recipe.model.dtype},
          {"length", stage.seq_len},
          {"checkpointing", memory.recompute != Recompute::kNone},
          {"trainable_parameters", trained},
          {"tokens_per_second",
           rounded(tokens / *std::min_element(times.seconds.begin(), times.seconds.end()), 2)},
          {"tokens_per_second_median", rounded(tokens / median(times.seconds), 2)},
          {"step_seconds", rounded(times.seconds, 2)},
          {"losses", rounded(times.losses, 4)},
          {device.is_cpu() ? "peak_rss_mib" : "peak_device_mib", times.peak_memory_bytes >> 20},
          {"peak_tensors_mib", page_use().peak_live >> 20},
          {"reserved_device_mib", device.is_cpu() ? 0 : peak_reserved_bytes(device) >> 20},
          {"device", device.str()},
          {"threads", at::get_num_threads()},
          {"cpu_seconds", rounded(times.cpu_seconds, 2)},
          {"useful_gflops", rounded(useful, 1)},
          {"linear_gflops", rounded(linear, 1)},
          {"useful_ratio", rounded(useful / linear, 3)},
          {"memory", write_fields(memory)}};
}

cxxopts::Options command_line() {
  cxxopts::Options options(
      "bench step",
      "Training steps of LoRA on one long text. key.path=value behind the options changes the "
      "recipe that they make, as for longspan train.\n");
  const auto text = [](const char* value) {
    return cxxopts::value<std::string>()->default_value(value);
  };
  const auto count = [](const char* value) {
    return cxxopts::value<int64_t>()->default_value(value);
  };
  options.add_options(
      "", {{"model", "Hugging Face model folder", cxxopts::value<std::string>(), "DIR"},
           {"text", "a long text: .txt .md .tex, each also .gz .zst", cxxopts::value<std::string>(),
            "FILE"},
           {"length", "tokens", count("8192"), "N"},
           {"attention", "full, s2", text("s2"), "NAME"},
           {"group-size", "tokens of a group of s2 (default: a quarter of the length)",
            cxxopts::value<int64_t>(), "N"},
           {"dtype", "bfloat16, float32", text("bfloat16"), "DTYPE"},
           {"steps", "", count("2"), "N"},
           {"rank", "of LoRA", count("8"), "R"},
           {"trainable", "train the parameters with one of these in their name", text("embed,norm"),
            "LIST"},
           {"threads", "0: one a core", count("0"), "N"},
           {"device", "cpu, cuda, or auto: cuda where it can be used", text("cpu"), "DEVICE"},
           {"random-weights",
            "draw them on the device: DIR needs config.json and tokenizer.json alone"},
           {"profile", "show where the time of the main thread goes, on stderr"},
           {"trace", "what runs when in the last step, for chrome://tracing or Perfetto",
            cxxopts::value<std::string>(), "FILE.json"},
           {"json", "print one JSON map instead of a table"},
           {"overrides", "", cxxopts::value<std::vector<std::string>>(), "KEY=VALUE..."}});
  options.parse_positional({"overrides"});
  options.positional_help("[key.path=value ...]");
  return options;
}

void show(const Json& result, bool as_json) {
  Table table{"Training steps", {"", ""}};
  for (const auto& [key, value] : result.items()) {
    table.rows.push_back({key, value.is_string() ? value.get<std::string>() : value.dump()});
  }
  fmt::print("{}", as_json ? result.dump() + "\n" : text_table(table));
  std::fflush(stdout);
}

void measure(const cxxopts::ParseResult& parsed) {
  const Stopwatch stopwatch;
  const at::Device device = open_device(parsed["device"].as<std::string>());
  if (parsed.count("profile") && !device.is_cpu()) {
    fail(ExitCode::kUsage, "--profile: counts the CPU's time; expected --trace for a GPU");
  }
  const AtomicFolder scratch(fs::temp_directory_path() / "longspan-bench-step");  // never committed
  const StepModel base = open_step_model(parsed);
  const ModelConfig& config = base.config;
  Recipe recipe = make_step_recipe(parsed, config, scratch.path());
  std::string& offload_dir = recipe.train.memory.offload_dir;
  if (offload_dir.empty()) offload_dir = scratch.path().string();
  write_step_tokens(recipe.data.path, parsed["text"].as<std::string>(), base.tokenizer_json,
                    parsed["model"].as<std::string>(), recipe.stages.front().seq_len);
  LoaderOptions loading;
  loading.packer.seq_len = recipe.stages.front().seq_len;
  loading.shuffle = recipe.data.shuffle;
  auto loader =
      std::make_shared<const Loader>(std::make_shared<const TokenStore>(recipe.data.path), loading);

  use_page_allocator();
  keep_freed_scratch();
  set_seed_and_threads(recipe.train);
  const auto [model, residency] =
      base.source ? open_recipe_model(recipe, *base.source, device)
                  : RecipeModel{draw_recipe_model(recipe, config, device), nullptr};
  Trainer trainer(*model, recipe.stages, {loader}, recipe.train, residency);
  StepTimes::Times times;
  trainer.add(std::make_unique<StepTimes>(times));
  if (parsed.count("trace")) {
    trainer.add(std::make_unique<TraceOfLastStep>(device, parsed["trace"].as<std::string>()));
  }
  const double until_first_step = stopwatch.seconds();
  std::optional<OperatorProfile> profile;
  if (parsed.count("profile")) profile.emplace();
  trainer.run();
  if (profile) fmt::print(stderr, "{}", text_table(profile->table()));
  profile.reset();
  Json result = result_of(parsed, recipe, trainer, *model, times);
  result["start_seconds"] = rounded(until_first_step, 2);
  show(result, parsed.count("json") > 0);  // before gigabytes of pinned memory are given back
}

}  // namespace

int step_bench(int argc, char** argv) {
  cxxopts::Options options = command_line();
  auto parsed = parse_bench_options(options, argc, argv, kStepBenchExample);
  if (!parsed) return 0;
  if (!parsed->count("model") || !parsed->count("text")) {
    fail(ExitCode::kUsage, "bench step: expected --model and --text; see bench step -h");
  }
  const auto attention = (*parsed)["attention"].as<std::string>();
  if (attention != "full" && attention != "s2") {
    fail(ExitCode::kUsage, "--attention: '{}' is not known; expected full or s2", attention);
  }
  if ((*parsed)["steps"].as<int64_t>() < 1) fail(ExitCode::kUsage, "--steps: expected 1 or more");
  measure(*parsed);
  return 0;
}

}  // namespace longspan
